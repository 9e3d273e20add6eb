"""Every guard of reuse has a model that comes out wrong without it, and right with it.

The checks of the first examples are nets under all guards, so they are off wherever a single guard is on trial.
"""

# ruff: noqa: D106

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tests.engine import nets
from tests.reference.plain_passes import plain_outputs
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from forgetaudit.engine import bit_equality, fingerprints, observe, reuse, reuse_plan, reusing_passes, witness
from forgetaudit.engine.stream import Stream

ROOT = Path(__file__).parents[2]
D = 12


class Switch(nn.Module):
    """A number that the fine-tune raises from 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(1))

    def forward(self) -> bool:
        return bool(self.value > 0)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.middle, self.head, self.switch = (
            nn.Linear(D, D),
            self.Middle(),
            nn.Linear(D, 5),
            Switch(),
        )

    class Middle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(D, D)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.middle(self.stem(x)))


class WritesToWhatStemReturned(Model):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stem(x).mul_(3))


class WritesToInputOfMiddleAfterwards(Model):
    """Doubled in place, base's input of `middle` holds what tuned's holds from the start."""

    def forward(self, x: Tensor) -> Tensor:
        y = x * 2 if self.switch() else x.clone()
        out = self.middle(y)
        y.mul_(2)
        return self.head(out + y)


class MiddleReturnsItsInput(Model):
    class Middle(Model.Middle):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, self.linear(x)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        same, out = self.middle(y)
        same += 1
        return self.head(y + out)


class MiddleWritesToItsInput(Model):
    class Middle(Model.Middle):
        def forward(self, x: Tensor) -> Tensor:
            x.mul_(3)
            return self.linear(x)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        return self.head(self.middle(y) + y)


class MiddleWritesToADict(Model):
    class Middle(Model.Middle):
        def forward(self, found: dict[str, Tensor]) -> Tensor:
            found["more"] = self.linear(found["x"])
            return found["more"] * 2

    def forward(self, x: Tensor) -> Tensor:
        found = {"x": self.stem(x)}
        return self.head(self.middle(found) + found.get("more", 0))


class MiddleTellsZeroFromMinusZero(Model):
    class Middle(Model.Middle):
        def forward(self, x: Tensor) -> Tensor:
            return torch.copysign(self.linear.bias, x)

    def forward(self, x: Tensor) -> Tensor:
        zero = torch.zeros_like(x)
        return self.head(self.middle(-zero if self.switch() else zero))


class MiddleTellsStrides(Model):
    class Middle(Model.Middle):
        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x) if x.is_contiguous() else self.linear(x) + 1

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.middle(x.t().contiguous().t() if self.switch() else x))


class MiddleTellsAlignment(Model):
    class Middle(Model.Middle):
        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x) if x.data_ptr() % 64 == 0 else self.linear(x) + 1

    def forward(self, x: Tensor) -> Tensor:
        if self.switch():
            x = torch.cat([x.flatten()[:1], x.flatten()])[1:].view_as(x)
        return self.head(self.middle(x))


class MiddleReadsAnothersWeight(Model):
    class Middle(Model.Middle):
        def forward(self, x: Tensor) -> Tensor:
            return F.linear(self.linear(x), self.lender[0].weight)

    def __init__(self) -> None:
        super().__init__()
        self.middle.lender = [self.head]

    def forward(self, x: Tensor) -> Tensor:
        return self.middle(self.stem(x))


class MiddleReadsWhatWasLeftForIt(Model):
    class Middle(Model.Middle):
        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x) + self.note.extra

    def __init__(self) -> None:
        super().__init__()
        self.middle.note = SimpleNamespace(extra=None)

    def forward(self, x: Tensor) -> Tensor:
        self.middle.note.extra = self.switch.value * 2
        return self.head(self.middle(self.stem(x)))


class MiddleDrawsRandomNumbers(Model):
    """Reused, it would leave the next draw to start where base's middle started."""

    class Middle(Model.Middle):
        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(self.linear(x), 0.5, training=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.head(self.middle(self.stem(x))), 0.5, training=True)


class MiddleRemembers(Model):
    """A second call in the pass, after the switch, sees how often the first one was made."""

    class Middle(Model.Middle):
        n_calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.n_calls += 1
            return self.linear(x) * self.n_calls

    def forward(self, x: Tensor) -> Tensor:
        y = self.middle(self.stem(x))
        return self.head(self.middle(y + self.switch.value))


class TunedWritesToWhatBaseReturned(Model):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.stem(x)
        out = self.head(y)
        if self.switch():
            y.mul_(2)
        return {"hidden": y, "out": out}


MODE = SimpleNamespace(sign=1)


class MiddleReadsAGlobal(Model):
    class Middle(Model.Middle):
        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x) * MODE.sign

    def forward(self, x: Tensor) -> Tensor:
        MODE.sign = -1 if self.switch() else 1
        return self.head(self.middle(self.stem(x)))


@dataclass(frozen=True)
class Guard:
    model: type[Model]
    places: tuple[tuple[object, str], ...]
    off: Callable


GUARDS = {
    "version of outputs": Guard(WritesToWhatStemReturned, ((reuse, "untouched"),), lambda kept: True),
    "version of inputs": Guard(
        WritesToInputOfMiddleAfterwards, ((fingerprints, "readable"),), lambda kept: True
    ),
    "outputs that are inputs": Guard(
        MiddleReturnsItsInput, ((reuse, "aliases"),), lambda inputs, outputs: False
    ),
    "writing to arguments": Guard(MiddleWritesToItsInput, ((reuse, "wrote_to"),), lambda inputs: False),
    "writing to containers": Guard(
        MiddleWritesToADict, ((reuse.Call, "as_given"),), property(lambda call: True)
    ),
    "bits instead of values": Guard(
        MiddleTellsZeroFromMinusZero, ((fingerprints, "same_bits"),), torch.equal
    ),
    "strides": Guard(
        MiddleTellsStrides,
        ((fingerprints, "same_layout"), (bit_equality, "same_layout")),
        lambda left, right: left.shape == right.shape,
    ),
    "alignment": Guard(MiddleTellsAlignment, ((fingerprints, "interchangeable"),), bit_equality.same_layout),
    "reading what is not owned": Guard(
        MiddleReadsAnothersWeight, ((observe.Observer, "_note_read"),), lambda observer, tensor: None
    ),
    "reading what was not given": Guard(
        MiddleReadsWhatWasLeftForIt, ((observe.Observer, "_note_read"),), lambda observer, tensor: None
    ),
    "random numbers": Guard(
        MiddleDrawsRandomNumbers,
        ((observe, "RandomState"),),
        SimpleNamespace(take=lambda like=None: like),
    ),
    "state of modules": Guard(MiddleRemembers, ((reuse_plan, "_always_changing"),), lambda *args: set()),
    "two holders of one tensor": Guard(
        TunedWritesToWhatBaseReturned, ((reuse.CallBook, "disturbed"),), lambda book: False
    ),
    "check of the first examples": Guard(MiddleReadsAGlobal, (), None),
}


def differs_somewhere(model: type[Model]) -> tuple[bool, list[str]]:
    """Whether any output of base or tuned is not that of an independent copy, and what was noted."""
    torch.manual_seed(0)
    skeleton = model()
    models = {"base": skeleton, "tuned": nets.tune(skeleton, ["switch.", "head."])}
    notes: list[str] = []
    stream = Stream(skeleton, nets.variants_of(models, skeleton), progress=SimpleNamespace(note=notes.append))
    torch.manual_seed(5)
    batches = [nets.batch(nets.rows(6, seed)) for seed in range(3)]
    # A step's outputs are compared before the next: they are valid no longer.
    kept = [[(name, step.outputs[name]) for name in models] for step in stream.run(batches)]
    expected = {name: plain_outputs(m, [(b.args, {}) for b in batches], seed=5) for name, m in models.items()}
    wrong = any(
        not all(map(torch.equal, leaves(out), leaves(expected[name][i])))
        for i, outputs in enumerate(kept)
        for name, out in outputs
    )
    return wrong, notes


def leaves(output: Tensor | dict[str, Tensor]) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else list(output.values())


def take_nets_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse_plan, "_equal", lambda plain, reused: True)
    monkeypatch.setattr(witness, "equal_answers", lambda left, right, *, exact=True: True)


@pytest.mark.parametrize("name", GUARDS)
def test_with_its_guards_the_engine_is_exact(name):
    wrong, _ = differs_somewhere(GUARDS[name].model)
    assert not wrong


@pytest.mark.parametrize("name", [name for name in GUARDS if name != "check of the first examples"])
def test_each_guard_alone_keeps_the_engine_exact(name, monkeypatch):
    take_nets_away(monkeypatch)
    wrong, notes = differs_somewhere(GUARDS[name].model)
    assert not wrong
    assert not notes


@pytest.mark.parametrize("name", GUARDS)
def test_without_the_guard_its_model_comes_out_wrong(name, monkeypatch):
    guard = GUARDS[name]
    take_nets_away(monkeypatch)
    for owner, attribute in guard.places:
        monkeypatch.setattr(owner, attribute, guard.off)
    wrong, _ = differs_somewhere(guard.model)
    assert wrong


def test_the_check_of_the_first_examples_says_that_nothing_is_reused():
    wrong, notes = differs_somewhere(MiddleReadsAGlobal)
    assert not wrong
    assert notes == [
        "every variant runs in full, nothing is reused: on the first examples it did not give the bits of plain passes"
    ]


def test_random_numbers_drawn_on_some_batches_only_end_reuse():
    class DrawsOnLargeBatches(Model):
        class Middle(Model.Middle):
            def forward(self, x: Tensor) -> Tensor:
                return F.dropout(self.linear(x), 0.5, training=len(x) > 3)

    wrong, notes = differs_somewhere(DrawsOnLargeBatches)
    assert not wrong
    assert "random numbers on some batches" in notes[0]


def reused_calls(models: dict[str, nn.Module], skeleton: nn.Module, batches: list) -> dict[str, int]:
    stream = Stream(skeleton, nets.variants_of(models, skeleton))
    list(stream.run(batches))
    return dict(stream.calls_reused)


def test_what_is_written_to_afterwards_is_handed_out_as_a_copy_to_every_variant():
    skeleton = WritesToWhatStemReturned()
    models = {str(seed): nets.tune(skeleton, ["head."] if seed else [], seed=seed + 1) for seed in range(4)}
    assert reused_calls(models, skeleton, [nets.batch(nets.rows())]) == {"stem": 3}


def test_an_identical_variant_costs_no_pass():
    skeleton = nets.build("conv")
    models = {"base": skeleton, "tuned": nets.tune(skeleton, []), "again": nets.tune(skeleton, [])}
    assert reused_calls(models, skeleton, [nets.batch(nets.images())] * 2) == {"": 4}


def test_a_frozen_prefix_runs_once_for_all_variants():
    skeleton = nets.build("transformer")
    models = {"base": skeleton} | {str(i): nets.tune(skeleton, ["blocks.2."], seed=i) for i in range(3)}
    assert reused_calls(models, skeleton, [nets.batch(nets.tokens())]) == {
        "embed": 3,
        "blocks.0": 3,
        "blocks.1": 3,
    }


def test_nothing_is_wrapped_where_nothing_is_shared():
    skeleton = nets.build("transformer")
    stream = Stream(
        skeleton, nets.variants_of({"base": skeleton, "tuned": nets.tune(skeleton, [""])}, skeleton)
    )
    list(stream.run([nets.batch(nets.tokens())]))
    assert not stream.calls_run


def test_features_of_reused_layers_are_one_object():
    skeleton = nets.build("transformer")
    models = {"base": skeleton, "tuned": nets.tune(skeleton, ["blocks.3."])}
    layers = ["blocks.1", "blocks.1.up", "blocks.3"]
    (step,) = Stream(skeleton, nets.variants_of(models, skeleton), layers=layers).run(
        [nets.batch(nets.tokens())]
    )
    same = {layer: features["base"] is features["tuned"] for layer, features in step.features.items()}
    assert same == {"blocks.1": True, "blocks.1.up": True, "blocks.3": False}


def test_hooks_of_others_run_in_every_pass_of_every_variant():
    skeleton, seen = nets.build("transformer"), []
    skeleton.blocks[0].up.register_forward_hook(
        lambda module, args, output: seen.append(len(output)) or output * 2
    )
    models = {"base": skeleton, "tuned": nets.tune(skeleton, ["blocks.3."])}
    batches = [nets.batch(nets.tokens(6, seed)) for seed in range(3)]
    stream = Stream(skeleton, nets.variants_of(models, skeleton), layers=["blocks.0.up"])
    steps = list(stream.run(batches))
    # Once more the first batch: base is asked it twice.
    assert seen.count(6) == 2 * len(batches) + 1
    for name, model in models.items():
        for step, expected in zip(
            steps, plain_outputs(model, [(b.args, {}) for b in batches], 0), strict=True
        ):
            assert torch.equal(step.outputs[name], expected)


def test_a_module_with_hooks_of_others_is_never_reused(monkeypatch):
    skeleton = nets.build("transformer")
    models = {"base": skeleton, "tuned": nets.tune(skeleton, ["blocks.3."])}
    skeleton.blocks[0].up.register_forward_hook(lambda module, args, output: None)
    reused = reused_calls(models, skeleton, [nets.batch(nets.tokens())])
    assert not {"", "blocks.0", "blocks.0.up"} & set(reused)
    assert {"blocks.0.norm1", "blocks.0.attention", "blocks.1"} <= set(reused)
    monkeypatch.setattr(reuse_plan, "has_guests", lambda module: False)
    assert "blocks.0" in reused_calls(models, skeleton, [nets.batch(nets.tokens())])


def test_a_model_that_cannot_be_observed_runs_in_full(monkeypatch):
    def fail(*args):
        raise RuntimeError("no observation")

    monkeypatch.setattr(reusing_passes, "make_reuse_plan", fail)
    wrong, notes = differs_somewhere(Model)
    assert not wrong
    assert notes == [
        "every variant runs in full, nothing is reused: trying it on a few examples failed: RuntimeError"
    ]


def test_learning_imports_no_compiler():
    program = (
        "import sys, torch\n"
        "from tests.engine import nets\n"
        "from forgetaudit.engine.stream import Stream\n"
        "base = nets.build('nasty')\n"
        "variants = nets.variants_of({'base': base, 'tuned': nets.tune(base, ['head.'])}, base)\n"
        "stream = Stream(base, variants, layers=['stem'])\n"
        "list(stream.run([nets.batch(nets.rows())]))\n"
        "print(bool(stream.calls_reused), 'torch._dynamo' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == ["True", "False"]
