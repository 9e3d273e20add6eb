"""The stream against independent copies of the model."""

import random

import pytest
import torch
from tests.engine import nets
from tests.reference.plain_passes import everything_on, plain_outputs, plain_passes
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from forgetaudit.engine.pooling import pool
from forgetaudit.engine.stream import Stream
from forgetaudit.errors import ModelError


def same(left, right) -> bool:
    leaves, spec = pytree.tree_flatten(left)
    others, other_spec = pytree.tree_flatten(right)
    return spec == other_spec and all(
        torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in zip(leaves, others, strict=True)
    )


def setting(name):
    """The model, four variants of it as models, its layers and three batches."""
    _, inputs, layers, prefixes = nets.NETS[name]
    base = nets.build(name)
    tuned = nets.tune(base, prefixes)
    models = {
        "base": base,
        "tuned": tuned,
        "rolled back": nets.tune(base, prefixes[-1:], seed=1),
        "all": nets.tune(base, [""]),
    }
    return base, models, layers, [nets.batch(inputs(n, seed)) for seed, n in enumerate((6, 6, 4))]


@pytest.mark.parametrize("reuse", [True, False])
@pytest.mark.parametrize("name", nets.NETS)
def test_outputs_are_those_of_independent_models_to_the_bit(name, reuse):
    skeleton, models, layers, batches = setting(name)
    stream = Stream(skeleton, nets.variants_of(models, skeleton), layers=layers, reuse=reuse)
    torch.manual_seed(3)
    random.seed(3)
    steps = list(stream.run(batches))
    inputs = [(batch.args, batch.kwargs) for batch in batches]
    for variant, model in models.items():
        for step, expected in zip(steps, plain_outputs(model, inputs, seed=3), strict=True):
            assert same(step.outputs[variant], expected)


@pytest.mark.parametrize("reuse", [True, False])
@pytest.mark.parametrize("name", [name for name in nets.NETS if name != "fast path"])
def test_features_are_what_layers_of_independent_models_returned_to_the_bit(name, reuse):
    skeleton, models, layers, batches = setting(name)
    stream = Stream(skeleton, nets.variants_of(models, skeleton), layers=layers, reuse=reuse)
    torch.manual_seed(3)
    random.seed(3)
    steps = list(stream.run(batches))
    assert not stream.not_measured
    inputs = [(batch.args, batch.kwargs) for batch in batches]
    for variant, model in models.items():
        for step, (_, seen) in zip(steps, plain_passes(model, inputs, layers, seed=3), strict=True):
            for layer in layers:
                expected = pool(seen[layer][0], "mean", len(step.batch), None)
                assert torch.equal(step.features[layer][variant], expected)


@pytest.mark.parametrize("name", nets.NETS)
def test_nothing_is_left_on_the_skeleton_at_any_step(name):
    skeleton, models, layers, batches = setting(name)
    skeleton.train()
    variants = nets.variants_of(models, skeleton)
    before, state = everything_on(skeleton), torch.get_rng_state()
    values = {key: value.clone() for key, value in skeleton.state_dict().items()}
    for _ in Stream(skeleton, variants, layers=layers).run(batches):
        assert everything_on(skeleton) == before
        assert torch.is_grad_enabled()
        assert torch.equal(torch.get_rng_state(), state)
    assert everything_on(skeleton) == before
    assert all(torch.equal(values[key], value) for key, value in skeleton.state_dict().items())


class Interrupting(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad or len(x) == 5:
            raise KeyboardInterrupt
        return x


def test_nothing_is_left_after_an_interruption():
    skeleton = nets.between(Interrupting()).train()
    variants = nets.variants_of({"base": skeleton, "tuned": nets.tune(skeleton, ["4."])}, skeleton)
    before = everything_on(skeleton)
    with pytest.raises(KeyboardInterrupt):
        list(Stream(skeleton, variants, layers=["0", "3"]).run([nets.batch(nets.rows(n)) for n in (4, 4, 5)]))
    assert everything_on(skeleton) == before


def test_nothing_is_left_when_the_consumer_stops():
    skeleton = nets.between(nets.Caching()).train()
    variants = nets.variants_of({"base": skeleton, "tuned": nets.tune(skeleton, ["4."])}, skeleton)
    before = everything_on(skeleton)
    steps = Stream(skeleton, variants, layers=["0", "3"]).run([nets.batch(nets.rows())] * 3)
    next(steps)
    steps.close()
    assert everything_on(skeleton) == before


def test_a_failing_model_is_named_with_the_variant_and_the_examples():
    skeleton = nets.between(nn.Linear(12, 12))
    stream = Stream(skeleton, nets.variants_of({"base": skeleton}, skeleton))
    with pytest.raises(ModelError) as refusal:
        list(stream.run([nets.batch((torch.randn(2, 7),))]))
    assert "failed with the weights of base, on examples x0 to x1" in str(refusal.value)
    assert "mat1 and mat2" in str(refusal.value)


class Hungry(nn.Module):
    """Does not fit in memory with more than two examples."""

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return x


class Notes:
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def test_a_batch_that_does_not_fit_is_halved_for_all_variants_and_said_so():
    skeleton, notes = nets.between(Hungry()), Notes()
    models = {"base": skeleton, "tuned": nets.tune(skeleton, ["4."])}
    stream = Stream(skeleton, nets.variants_of(models, skeleton), layers=["3"], progress=notes)
    batches = [nets.batch(nets.rows(7)), nets.batch(nets.rows(5, seed=1))]
    steps = list(stream.run(batches))
    assert [len(step.batch) for step in steps] == [2, 2, 2, 1, 2, 1, 2]
    assert [i for step in steps[:4] for i in step.batch.ids] == list(batches[0].ids)
    assert len([note for note in notes.notes if "do not fit in memory" in note]) == 2
    for step in steps:
        assert same(step.outputs["tuned"], plain_outputs(models["tuned"], [(step.batch.args, {})], 0)[0])


def test_an_example_that_does_not_fit_alone_is_refused():
    class Starving(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    skeleton = nets.between(Starving())
    with pytest.raises(ModelError, match="one example does not fit in memory"):
        list(Stream(skeleton, nets.variants_of({"base": skeleton}, skeleton)).run([nets.batch(nets.rows(3))]))
