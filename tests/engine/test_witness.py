"""A network that keeps or draws something is run as plain copies would be, or refused; no other one is accused."""

from collections.abc import Callable
from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.engine import nets, zoo
from torch import Tensor, nn

from forgetaudit.engine import alike as alike_module
from forgetaudit.engine.alike import equal_answers
from forgetaudit.engine.sealed import Sealed
from forgetaudit.engine.stream import Stream
from forgetaudit.errors import ModelError

Made = tuple[nn.Module, dict[str, nn.Module]]


def made(build: Callable[[], nn.Module], *, changed: tuple[str, ...] = ("4.",)) -> Made:
    """The skeleton, and base and tuned as modules of their own; all but `changed` is shared."""
    torch.manual_seed(7)
    zoo.forget_globals()
    skeleton = build().eval()
    base = build_like(skeleton, build)
    tuned = build_like(skeleton, build)
    with torch.no_grad():
        for name, tensor in tuned.named_parameters():
            if name.startswith(changed):
                tensor.add_(0.1)
    return skeleton, {"base": base, "tuned": tuned}


def build_like(skeleton: nn.Module, build: Callable[[], nn.Module]) -> nn.Module:
    """Built anew, not copied, with the weights of `skeleton`."""
    model = build().eval()
    model.load_state_dict(skeleton.state_dict())
    return model


def seed_all() -> None:
    zoo.GENERATOR.manual_seed(3)
    zoo.random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)


def plainly(model: nn.Module, batches: list[nets.Batch]) -> list[Tensor]:
    """One pass over the data from a fresh start, as anyone would write it."""
    seed_all()
    zoo.forget_globals()
    with torch.no_grad():
        return [model(*deepcopy(batch.args)).clone() for batch in batches]


def streamed(
    made_: Made, batches: list[nets.Batch], *, reuse: bool, order: tuple[str, ...] = ("base", "tuned")
) -> tuple[dict[str, list[Tensor]], Stream, list[str]]:
    skeleton, models = made_
    notes: list[str] = []
    seed_all()
    variants = nets.variants_of({name: models[name] for name in order}, skeleton)
    stream = Stream(skeleton, variants, reuse=reuse, progress=SimpleNamespace(note=notes.append))
    found: dict[str, list[Tensor]] = {name: [] for name in models}
    for step in stream.run(batches):
        for name, output in step.outputs.items():
            found[name].append(output.clone())
    return found, stream, notes


def batches_of(n: int) -> list[nets.Batch]:
    return [nets.batch(nets.rows(6, seed)) for seed in range(n)]


def right(made_: Made, found: dict[str, list[Tensor]], batches: list[nets.Batch]) -> bool:
    return all(
        all(map(torch.equal, found[name], plainly(model, batches))) for name, model in made_[1].items()
    )


REFUSED = {
    "WritesToItsWeight", "CountsOnItsClass", "DrawsFromTheSystem", "DrawsFromAGlobalGenerator", "CannotBeCopied",
}  # fmt: skip

CHANGED = {"RefersToAWeight": ("2.",)}


@pytest.mark.parametrize("order", [("base", "tuned"), ("tuned", "base")])
@pytest.mark.parametrize("reuse", [True, False])
@pytest.mark.parametrize("name", zoo.ODD)
def test_odd_networks_are_as_plain_passes_or_refused(name, reuse, order):
    network, batches = made(zoo.ODD[name], changed=CHANGED.get(name, ("4.", "2.rate"))), batches_of(4)
    if name in REFUSED:
        with pytest.raises(ModelError, match=r"answers otherwise|writes to its tensor") as refusal:
            streamed(network, batches, reuse=reuse, order=order)
        assert refusal.value.hint
        return
    found, stream, notes = streamed(network, batches, reuse=reuse, order=order)
    assert right(network, found, batches)
    (gap,) = stream.gaps
    assert gap.ident == "not-repeatable"
    assert gap.holds == ("nothing" if name == "RefersToAWeight" else "behaviour")
    assert len(gap.what) < 200
    assert "on a copy of its own" in notes[0]


@pytest.mark.parametrize("changed", [("",), ("4.",)], ids=["all changed", "head changed"])
@pytest.mark.parametrize("reuse", [True, False])
@pytest.mark.parametrize("kind", zoo.CACHES)
def test_what_one_variant_keeps_in_globals_is_none_of_anothers(kind, reuse, changed):
    network, batches = made(lambda: zoo.between(kind()), changed=changed), batches_of(5)
    found, stream, _ = streamed(network, batches, reuse=reuse)
    assert right(network, found, batches)
    assert all(gap.holds == "nothing" for gap in stream.gaps) or kind is zoo.KeepsWhatItSawFirstInAGlobal


LATE_REFUSED = {"SwitchesLate", "SwitchesLateInAGlobal", "WritesToItsWeightLate"}


@pytest.mark.parametrize("reuse", [True, False])
@pytest.mark.parametrize("name", zoo.LATE)
def test_what_changes_late_is_noticed(name, reuse):
    network, batches = made(zoo.LATE[name]), batches_of(24)
    if reuse or name in LATE_REFUSED:
        with pytest.raises(ModelError, match=r"after some batches|writes to its tensor") as refusal:
            streamed(network, batches, reuse=reuse)
        assert refusal.value.hint
        return
    found, stream, _ = streamed(network, batches, reuse=reuse)
    assert right(network, found, batches)
    assert stream.gaps[0].holds == "behaviour"


@pytest.mark.parametrize("reuse", [True, False])
@pytest.mark.parametrize("name", zoo.EXACT)
def test_exact_networks_are_not_accused(name, reuse):
    network, batches = made(zoo.EXACT[name]), batches_of(5)
    found, stream, notes = streamed(network, batches, reuse=reuse)
    assert right(network, found, batches)
    assert not stream.gaps
    assert not notes
    assert bool(stream.calls_reused) is reuse


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("DropsOut", "module 2 (DropsOut) draws random numbers"),
        ("CountsOnAnObject", "module 2 (CountsOnAnObject) keeps something from call to call"),
        ("DrawsFromItsGenerator", "or draws from a generator of its own"),
    ],
)
def test_the_module_that_differs_first_is_named(name, said):
    _, stream, _ = streamed(made(zoo.ODD[name]), batches_of(1), reuse=True)
    assert said in stream.gaps[0].what


def test_a_layer_that_drops_nothing_keeps_reuse_wherever_numpys_generators_are_loaded_meanwhile():
    class DrawsElsewhere(zoo.DropsNothing):
        def change(self, y, x):
            np.random.default_rng(0).random()
            return super().change(y, x)

    _, stream, notes = streamed(made(lambda: nets.between(DrawsElsewhere())), batches_of(3), reuse=True)
    assert stream.calls_reused
    assert not notes
    assert not stream.gaps


def test_numbers_that_matter_on_large_batches_only_are_a_gap():
    class DrawsOnLargeBatches(zoo.Middle):
        def change(self, y, x):
            return torch.dropout(y, 0.5, len(y) > 4)

    network, batches = made(lambda: nets.between(DrawsOnLargeBatches())), batches_of(3)
    found, stream, _ = streamed(network, batches, reuse=True)
    assert right(network, found, batches)
    assert "draws random numbers on some batches" in stream.gaps[0].what


@pytest.mark.parametrize("reuse", [True, False])
@pytest.mark.parametrize("changed", ["0.", "4."])
def test_what_a_generator_of_its_own_draws_on_large_batches_only_is_a_gap(reuse, changed):
    class DrawsItsOwnOnLargeBatches(zoo.Middle):
        def change(self, y, x):
            return y + torch.rand(y.shape, generator=zoo.GENERATOR) if len(y) > 4 else y

    network, batches = (
        made(lambda: nets.between(DrawsItsOwnOnLargeBatches()), changed=(changed,)),
        batches_of(3),
    )
    _, stream, _ = streamed(network, batches, reuse=reuse)
    (gap,) = stream.gaps
    assert gap.holds == "behaviour"
    assert "on batches of 6, not of a few" in gap.what


def test_a_stream_that_asks_nothing_runs_every_batch_once():
    seen = []

    class Counted(zoo.CountsForNothing):
        def change(self, y, x):
            seen.append(len(y))
            return y

    skeleton, models = made(lambda: nets.between(Counted()))
    batches = batches_of(3)
    list(Stream(skeleton, nets.variants_of(models, skeleton), reuse=False, asks=False).run(batches))
    assert seen == [6] * 6


def test_a_forward_that_leads_back_to_the_original_is_not_copied():
    def build() -> nn.Module:
        model = nets.between(nn.Linear(12, 12))
        parts = list(model)

        def forward(x: Tensor) -> Tensor:
            for part in parts:
                x = part(x)
            return x

        model.forward = forward
        return model

    network, batches = made(build), batches_of(3)
    found, stream, _ = streamed(network, batches, reuse=True)
    assert right(network, found, batches)
    assert not stream.gaps


def test_a_second_run_goes_on_where_the_first_ended_only_where_that_is_wanted():
    network, batches = made(zoo.ODD["CountsOnAnObject"]), batches_of(2)
    stream = Stream(network[0], nets.variants_of(network[1], network[0]))
    first = [step.outputs["base"].clone() for step in stream.run(batches)]
    anew = [step.outputs["base"].clone() for step in stream.run(batches)]
    later = [step.outputs["base"].clone() for step in stream.run(batches, continued=True)]
    expected = plainly(network[1]["base"], batches * 2)
    assert all(map(torch.equal, [*first, *later], expected))
    assert all(map(torch.equal, first, anew))


def test_a_seed_is_where_random_numbers_begin():
    skeleton, models = made(zoo.ODD["DropsOut"])
    variants = nets.variants_of(models, skeleton)
    runs = []
    for outside in (1, 2):
        torch.manual_seed(outside)
        (step,) = Stream(skeleton, variants, seed=5).run(batches_of(1))
        runs.append(step.outputs["base"])
        assert torch.initial_seed() == outside
    assert torch.equal(*runs)


def test_a_stateful_network_that_runs_out_of_memory_is_refused_and_not_begun_again():
    class Hungry(zoo.CountsOnAnObject):
        def change(self, y, x):
            if len(y) > 4:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().change(y, x)

    with pytest.raises(ModelError, match="6 examples at once do not fit in memory") as refusal:
        streamed(made(lambda: nets.between(Hungry())), batches_of(2), reuse=True)
    assert "--batch-size" in str(refusal.value.hint)


def test_what_is_asked_costs_a_few_rows():
    seen = []

    class Counted(zoo.CountsForNothing):
        def change(self, y, x):
            seen.append(len(y))
            return y

    streamed(made(lambda: nets.between(Counted()), changed=("",)), batches_of(9), reuse=False)
    asked = sum(seen) - 9 * 2 * 6
    # 3 of base's rows, halves of 6, and 2 of tuned's: three times before; base's after 2, 4 and 8 batches; all at the end.
    # The first batch once more.
    assert asked == 3 * (3 + 2) + 3 * 3 + (3 + 2) + 6


def test_weights_are_sealed_by_what_they_hold():
    tensors = {
        "odd": torch.randn(7, 3),
        "half": torch.randn(64).bfloat16(),
        "whole": torch.arange(33),
        "flags": torch.ones(5, dtype=torch.bool),
        "complex": torch.randn(9, dtype=torch.complex64),
        "none": torch.zeros(0, 4),
        "view": torch.randn(6, 8).t(),
    }
    sealed = Sealed(tensors.items())
    assert not sealed.broken()
    tensors["odd"].data[6, 2] += 1
    tensors["half"].data.copy_(tensors["half"].flip(0))
    tensors["view"].data[0, 0] = -tensors["view"][0, 0]
    tensors["flags"].data[3] = False
    assert set(sealed.broken()) == {"odd", "half", "view", "flags"}


def test_answers_are_alike_by_bits_or_within_rounding_where_kernels_promise_no_more():
    one = {"logits": torch.tensor([[1.0, -2.0]]), "n": 3}
    near = {"logits": one["logits"] + 1e-6, "n": 3}
    far = {"logits": one["logits"] + 1e-2, "n": 3}
    assert equal_answers(one, {"logits": one["logits"].clone(), "n": 3})
    assert not equal_answers(one, near)
    assert equal_answers(one, near, exact=False)
    assert not equal_answers(one, far, exact=False)
    assert not equal_answers(one, {"logits": one["logits"]}, exact=False)
    assert equal_answers(torch.eye(2).to_sparse(), torch.eye(2).to_sparse())


def test_a_device_without_deterministic_kernels_promises_nothing_and_settings_are_put_back():
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    with alike_module.repeatable_kernels(torch.device("meta")) as kernels:
        assert torch.are_deterministic_algorithms_enabled()
    assert not kernels.exact
    assert (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark) == before
