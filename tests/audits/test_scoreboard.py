"""What every variant answered, paired variant by variant."""

import numpy as np
import pytest
from scipy import stats
from tests.reference.statistics import degrees_of_sizes

from forgetaudit.audits.locate.example_scores import (
    ExampleAnswers,
    ExampleScores,
    paired_drop,
    paired_increase,
)
from forgetaudit.data.batches import Batch
from forgetaudit.inference.paired import tango
from forgetaudit.tasks.task import Outcomes
from forgetaudit.values import Interval, NotMeasured


def outcomes(right: list[int], nll: list[float] | None = None, row: list[int] | None = None) -> Outcomes:
    return Outcomes(
        predicted=np.zeros(len(right), dtype=np.int64),
        correct=np.array(right, dtype=bool),
        nll=np.array(nll or [0.5] * len(right)),
        n_classes=2,
        row=None if row is None else np.array(row, dtype=np.int64),
    )


def board(*batches: tuple[Batch, dict[str, Outcomes]]) -> ExampleAnswers:
    made = ExampleScores()
    for batch, found in batches:
        made.take_in(found, batch, {})
    return made.read()


def test_any_two_variants_are_paired_with_tangos_limits() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.integers(0, 2, 90), rng.integers(0, 2, 90)
    ids = tuple(map(str, range(90)))
    found = paired_drop(
        board((Batch(ids=ids), {"a": outcomes(one.tolist()), "b": outcomes(two.tolist())})), "a", "b", 0.95
    )
    lost, won = int((one > two).sum()), int((one < two).sum())
    assert found == tango(lost, won, 90, confidence=0.95, sides=2)


def test_batches_are_joined_in_their_order() -> None:
    first, second = Batch(ids=("a", "b")), Batch(ids=("c",))
    found = board((first, {"v": outcomes([1, 0])}), (second, {"v": outcomes([1])}))
    assert found.right["v"].tolist() == [1, 0, 1]
    assert (found.n, found.accuracy("v"), found.grouped) == (3, pytest.approx(2 / 3), False)


def test_pieces_of_one_text_are_one_unit_wherever_they_come() -> None:
    first, second = Batch(ids=("a0", "b0"), groups=("a", "b")), Batch(ids=("a1",), groups=("a",))
    found = board(
        (first, {"v": outcomes([1, 1, 0], [1.0, 2.0, 4.0], [0, 0, 1])}),
        (second, {"v": outcomes([1], [8.0], [0])}),
    )
    assert found.grouped
    assert found.sizes.tolist() == [3, 1]
    assert found.right["v"].tolist() == [3, 0]
    assert found.nll["v"].tolist() == [11.0, 4.0]


def texts(n: int, seed: int = 0) -> ExampleAnswers:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(5, 15, n).astype(np.float64)
    right = {
        name: rng.binomial(sizes.astype(int), p).astype(np.float64) for name, p in (("a", 0.6), ("b", 0.4))
    }
    return ExampleAnswers(grouped=True, sizes=sizes, right=right, nll=dict.fromkeys(right, sizes * 0.1))


def test_of_texts_the_limits_are_those_of_a_ratio() -> None:
    answered = texts(40)
    found = paired_drop(answered, "a", "b", 0.95)
    assert isinstance(found, Interval)
    x = answered.right["a"] - answered.right["b"]
    assert found.estimate == pytest.approx(x.sum() / answered.sizes.sum())
    assert found.method == "grouped-mean"
    without = (x.sum() - x) / (answered.sizes.sum() - answered.sizes)
    se = np.sqrt(39 / 40 * np.square(without - found.estimate).sum())
    t = stats.t.ppf(0.975, degrees_of_sizes(answered.sizes))
    assert found.high - found.estimate == pytest.approx(t * se, rel=1e-9)


def test_a_few_texts_that_changed_say_nothing_of_their_scatter() -> None:
    answered = texts(40)
    answered.right["b"][:] = answered.right["a"]
    answered.right["b"][0] -= 1
    found = paired_drop(answered, "a", "b", 0.95)
    assert isinstance(found, NotMeasured)
    assert "fewer than 10 groups" in found.reason


def test_an_infinite_log_loss_is_not_measured() -> None:
    batch = Batch(ids=("a", "b"))
    answered = board((batch, {"v": outcomes([1, 0]), "w": outcomes([1, 0], [0.1, np.inf])}))
    assert isinstance(paired_increase(answered, "v", "w", 0.95), NotMeasured)
