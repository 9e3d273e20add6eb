"""Features where a task runs the model in several calls, each about some rows of the batch or about none."""

import pytest
import torch
from tests.engine import nets
from torch import nn

from forgetaudit.data.batch_parts import outside_the_batch, part_of_batch, part_under_way
from forgetaudit.engine.stream import Stream
from forgetaudit.engine.taps import Piece, gather
from forgetaudit.values import NotMeasured


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.second(self.first(x).relu())


def steps(call, *, reuse=True, n=6, share=True):
    torch.manual_seed(0)
    skeleton = Net()
    models = {"base": skeleton, "tuned": nets.tune(skeleton, ["second"] if share else [""])}
    stream = Stream(
        skeleton, nets.variants_of(models, skeleton), layers=["first", "second"], reuse=reuse, call=call
    )
    inputs = torch.randn(n, 4, generator=torch.Generator().manual_seed(1))
    (step,) = stream.run([nets.batch((inputs,))])
    return stream, step


def in_parts(model, x):
    """Last rows first; then all again, beside the batch."""
    outputs = torch.empty(len(x), 3)
    for rows in (range(len(x) // 2, len(x)), range(len(x) // 2)):
        with part_of_batch(rows):
            outputs[list(rows)] = model(x[list(rows)])
    with outside_the_batch():
        model(x)
    return outputs


@pytest.mark.parametrize("reuse", [True, False])
def test_rows_come_back_in_the_order_of_the_batch(reuse):
    _, whole = steps(lambda model, x: model(x), reuse=reuse)
    _, parted = steps(in_parts, reuse=reuse)
    for layer in ("first", "second"):
        for variant in ("base", "tuned"):
            # Three rows and six are other kernels on some processors, and sums in another order.
            torch.testing.assert_close(
                parted.features[layer][variant], whole.features[layer][variant], rtol=1e-5, atol=1e-6
            )


def test_an_ordinary_model_that_is_called_twice_is_still_refused():
    stream, step = steps(lambda model, x: model(x) + model(x))
    assert step.features == {}
    assert stream.not_measured["first"].reason == "the model calls it 2 times in one pass"


@pytest.mark.parametrize(
    "rows",
    [[[0, 1, 2], [2, 3, 4, 5]], [[0, 1, 2]], [[0, 1, 2], [4, 5, 3], [0]]],
    ids=["twice", "few", "again"],
)
def test_rows_that_come_twice_or_never_are_refused(rows):
    def call(model, x):
        for part in rows:
            with part_of_batch(part):
                model(x[part])
        return x

    stream, step = steps(call)
    assert step.features == {}
    assert stream.not_measured["first"].reason == "the model does not call it once for each example"


def test_a_whole_call_beside_parts_is_refused():
    def call(model, x):
        with part_of_batch(range(len(x))):
            model(x)
        return model(x)

    stream, _ = steps(call)
    assert "calls it 2 times" in stream.not_measured["first"].reason


def test_a_layer_that_is_only_called_beside_the_batch_has_no_features():
    def call(model, x):
        with outside_the_batch():
            return model(x)

    stream, _ = steps(call)
    assert stream.not_measured["first"].reason == "the model does not call it as a module"


@pytest.mark.parametrize("reuse", [True, False])
def test_equal_inputs_under_other_rows_are_not_taken_for_each_other(reuse):
    """Both halves of the batch hold the same values, and the first call of all is beside the batch."""

    def call(model, x):
        with outside_the_batch():
            model(x[:3])
        for rows in ([3, 4, 5], [0, 1, 2]):
            with part_of_batch(rows):
                outputs = model(x[:3])
        return outputs

    stream, step = steps(call, reuse=reuse)
    assert stream.not_measured == {}
    assert bool(stream.calls_reused) is reuse
    first = step.features["first"]
    assert torch.equal(first["base"][:3], first["base"][3:])
    assert torch.equal(first["base"], first["tuned"])
    assert first["base"].shape == (6, 5)


def test_the_mask_of_a_part_counts_and_not_that_of_the_batch():
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(9, 4)

        def forward(self, ids):
            return self.table(ids)

    def call(model, ids):
        with part_of_batch([1, 0], torch.tensor([[1, 0], [0, 1]])):
            return model(ids[[1, 0], :2])

    skeleton = Tokens()
    models = {"base": skeleton, "tuned": nets.tune(skeleton, [""])}
    stream = Stream(skeleton, nets.variants_of(models, skeleton), layers=["table"], call=call)
    ids = torch.tensor([[1, 2, 3], [4, 5, 6]])
    (step,) = stream.run([nets.batch((ids,))])
    assert torch.allclose(step.features["table"]["base"], skeleton.table.weight[[2, 4]])


def test_inside_a_call_beside_the_batch_nothing_is_part_of_it():
    with outside_the_batch(), part_of_batch([0]):
        part = part_under_way()
    assert part is not None
    assert part.rows == ()
    assert part_under_way() is None


def test_nothing_is_under_way_after_an_error():
    with pytest.raises(ValueError, match="broken"), part_of_batch([0]):
        raise ValueError("broken")
    assert part_under_way() is None


def test_a_part_without_features_says_why():
    reason = NotMeasured("it returns no tensor")
    journal = [("a", Piece((0,), torch.zeros(1, 2))), ("a", Piece((1,), reason))]
    assert gather(journal, ["a"], 2) == {"a": reason}
