"""The laws of every accumulator, on one list of them."""

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from tests.reference import features as reference
from tests.reference import statistics as slow_statistics

from forgetaudit.stats.accumulator import Accumulator
from forgetaudit.stats.calibration import Calibration
from forgetaudit.stats.confusion import Confusion
from forgetaudit.stats.cross import CrossSums
from forgetaudit.stats.flips import Flips
from forgetaudit.stats.means import GroupMeans, Means
from forgetaudit.stats.moments import PairMoments
from forgetaudit.stats.paired import PairedDifference
from forgetaudit.stats.ridge import FOLDS, RidgeSums
from forgetaudit.stats.sketch import SketchMoments

N = 1100  # more than two blocks of rows, so that some are folded and some wait


@dataclass(frozen=True)
class Case:
    make: Callable[[], Accumulator[Any]]
    examples: tuple[Any, ...]
    slow: Callable[..., dict[str, Any]]


def flips_case():
    rng = np.random.default_rng(0)
    base, tuned, labels = rng.random(N) < 0.9, rng.random(N) < 0.7, rng.integers(0, 5, N)

    def slow(base, tuned, labels):
        rows = list(zip(base.tolist(), tuned.tolist(), strict=True))
        return {
            "kept": rows.count((True, True)),
            "forgotten": rows.count((True, False)),
            "gained": rows.count((False, True)),
            "missed": rows.count((False, False)),
        }

    return Case(lambda: Flips(5), tuple(map(torch.from_numpy, (base, tuned, labels))), slow)


def paired_case():
    rng = np.random.default_rng(1)
    base, tuned = rng.gamma(1, 2, N) + 1000, rng.gamma(1, 3, N) + 1000
    base[3], tuned[3], tuned[900] = np.nan, np.inf, -np.inf

    def slow(base, tuned):
        base, tuned = base.numpy(), tuned.numpy()
        finite = np.isfinite(base) & np.isfinite(tuned)
        increase = tuned[finite] - base[finite]
        return {
            "n": int(finite.sum()),
            "base": base[finite].mean(),
            "tuned": tuned[finite].mean(),
            "increase": increase.mean(),
            "m2": ((increase - increase.mean()) ** 2).sum(),
            "least": increase.min(),
            "most": increase.max(),
            "n_nonfinite_base": 1,
            "n_nonfinite_tuned": 2,
        }

    return Case(PairedDifference, (torch.from_numpy(base), torch.from_numpy(tuned)), slow)


def confusion_case():
    rng = np.random.default_rng(2)
    ids = np.array([f"example-{i}" for i in range(N)])
    labels, predicted = rng.integers(0, 4, N), rng.integers(-1, 4, N)

    def slow(ids, labels, predicted):
        return {
            "n": N,
            "n_right": int((labels == predicted).sum()),
            "n_without_prediction": int((predicted == -1).sum()),
            "majority_share": np.bincount(labels.numpy()).max() / N,
        }

    return Case(lambda: Confusion(4), (ids, torch.from_numpy(labels), torch.from_numpy(predicted)), slow)


def features(n, d_base, d_tuned, dtype=torch.float64, seed=3):
    """Rows in runs: identical, differing, not finite; with a mean, an outlier, and rows sorted by class."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randn(5, d_base, generator=generator).repeat_interleave(n // 5 + 1, dim=0)[:n]
    base = (classes + torch.randn(n, d_base, generator=generator) + 30).to(dtype)
    tuned = (torch.randn(n, d_tuned, generator=generator) + base.repeat(1, 2)[:, :d_tuned]).to(dtype)
    if d_base == d_tuned:
        tuned[100:300] = base[100:300]
        tuned[640:700] = base[640:700]
    base[17] *= 20
    return base, tuned


def moments_case(d_base, d_tuned, dtype):
    base, tuned = features(N, d_base, d_tuned, dtype)

    def slow(base, tuned):
        x, y = reference.centred(base.double()), reference.centred(tuned.double())
        return {
            "rows.n": N,
            "rows.n_identical": 260 if d_base == d_tuned else 0,
            "base.product": x.T @ x,
            "cross.product": x.T @ y,
            "tuned.product": y.T @ y,
            "cross.weighted_u": x.T @ (y**2).sum(axis=1),
            "cross.weighted_v": y.T @ (x**2).sum(axis=1),
            "cross.squares_uv": ((x**2).sum(axis=1) * (y**2).sum(axis=1)).sum(),
            "base.squares_u": (x**2).sum(),
        }

    return Case(lambda: PairMoments(d_base, d_tuned), (base, tuned), slow)


def frozen_case():
    base, _ = features(N, 6, 6)
    return Case(lambda: PairMoments(6), (base, base.clone()), lambda base, tuned: {"rows.n_identical": N})


def sketch_case():
    base, tuned = features(N, 40, 30, torch.float32)
    tuned[8, 2] = torch.nan

    def slow(base, tuned):
        return {"rows.n": N, "rows.n_nonfinite": 1, "rows.n_nonfinite_tuned": 1}

    return Case(lambda: SketchMoments(40, 30, width=8), (base, tuned), slow)


class TwoMeans(Means):
    """Its measures as two columns."""

    def update(self, first, second):
        super().update({"first": first, "second": second})


class TwoGroupMeans(GroupMeans):
    """Its measures as two columns, the groups as a third; every group comes in pieces."""

    def update(self, first, second, groups):
        names, rows = np.unique(groups, return_inverse=True)
        super().update({"first": first, "second": second}, [str(name) for name in names], rows)


def means_case():
    rng = np.random.default_rng(7)
    first, second = rng.normal(5, 2, N), (rng.random(N) < 0.1).astype(float)

    def slow(first, second):
        return {
            "first.groups.n_groups": N,
            "first.groups.effective": N,
            "first.groups.degrees": N - 1,
            "first.mean": first.mean(),
            "first.least": first.min(),
            "first.most": first.max(),
            "second.variance": second.var(ddof=1) / N,
            "second.touched": float((second != 0).sum()),
        }

    return Case(lambda: TwoMeans(("first", "second")), (first, second), slow)


def group_means_case():
    rng = np.random.default_rng(8)
    groups = np.array([f"document {number}" for number in rng.integers(0, 30, N)])
    first, second = rng.normal(5, 2, N), (rng.random(N) < 0.02).astype(float)

    def slow(first, second, groups):
        names = sorted(set(groups))
        sizes = [int((groups == name).sum()) for name in names]
        touched = [size for size, name in zip(sizes, names, strict=True) if second[groups == name].any()]
        return {
            "first.n": N,
            "first.groups.n_groups": 30,
            "first.groups.effective": N**2 / sum(size**2 for size in sizes),
            "first.groups.degrees": slow_statistics.degrees_of_sizes(sizes),
            "first.mean": first.mean(),
            "first.most": max(first[groups == name].mean() for name in names),
            "first.least": min(first[groups == name].mean() for name in names),
            "second.variance": slow_statistics.left_out_variance(second.tolist(), groups.tolist()),
            "second.touched": sum(touched) ** 2 / sum(size**2 for size in touched),
        }

    return Case(lambda: TwoGroupMeans(("first", "second")), (first, second, groups), slow)


class CalibrationOfTensors(Calibration):
    """Fed with tensors, as the other accumulators are here."""

    def update(self, confidence, correct):
        super().update(confidence.numpy(), correct.numpy())


def calibration_case():
    rng = np.random.default_rng(9)
    sure = rng.beta(3, 1, N)
    right = rng.random(N) < 0.8 * sure
    sure[:3] = 1.0, 1 / 15, np.nan

    def slow(sure, right):
        sure, right = sure.numpy()[np.isfinite(sure.numpy())], right.numpy()[np.isfinite(sure.numpy())]
        error = 0.0
        for step in range(15):
            mine = (sure > step / 15) & (sure <= (step + 1) / 15)
            if mine.any():
                error += mine.sum() / len(sure) * abs(right[mine].mean() - sure[mine].mean())
        return {"n": N - 1, "confidence": sure.mean(), "accuracy": right.mean(), "error": error}

    return Case(CalibrationOfTensors, (torch.from_numpy(sure), torch.from_numpy(right)), slow)


def ridge_case():
    rows, _ = features(N, 5, 5)
    rng = np.random.default_rng(10)
    answers, folds = torch.from_numpy(rng.normal(2, 1, (N, 3))), torch.from_numpy(rng.integers(0, FOLDS, N))

    def slow(features, answers, folds):
        mine = [(features[folds == fold], answers[folds == fold]) for fold in range(FOLDS)]
        return {
            "n": [float(len(z)) for z, _ in mine],
            "z": torch.stack([z.mean(0) for z, _ in mine]),
            "zz": torch.stack([sum(torch.outer(row, row) for row in z) / len(z) for z, _ in mine]),
            "zr": torch.stack([sum(map(torch.outer, z, r)) / len(z) for z, r in mine]),
            "rr": torch.stack([(r**2).sum() / len(r) for _, r in mine]),
        }

    return Case(lambda: RidgeSums(5, 3), (rows, answers, folds), slow)


CASES = {
    "ridge": ridge_case(),
    "calibration": calibration_case(),
    "flips": flips_case(),
    "paired": paired_case(),
    "confusion": confusion_case(),
    "moments": moments_case(6, 6, torch.float64),
    "moments of other width": moments_case(6, 9, torch.float32),
    "moments of a frozen layer": frozen_case(),
    "sketch": sketch_case(),
    "means": means_case(),
    "means over groups": group_means_case(),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request):
    return request.param


def fed(case, rows, size=64):
    accumulator = case.make()
    for start in range(0, len(rows), size):
        accumulator.update(*pick(case, rows[start : start + size]))
    return accumulator


def pick(case, rows):
    return tuple(column[rows] for column in case.examples)


def plain(value):
    """A result as nested plain numbers and arrays, so that two can be compared."""
    if isinstance(value, CrossSums):
        return {name: plain(part) for name, part in vars(value).items()}
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, torch.Tensor):
        return value.numpy().copy()
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return value


def same(one, other, tolerance=1e-9):
    one, other = plain(one), plain(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return all(same(one[key], other[key], tolerance) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(same(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if isinstance(one, str):
        return one == other
    scale = max(1.0, float(np.abs(other).max()))
    return bool(np.allclose(one, other, rtol=tolerance, atol=tolerance * scale))


EVERY = np.arange(N)


def test_reading_equals_the_statistic_of_all_examples(case):
    result = fed(case, EVERY).read()
    for path, expected in case.slow(*case.examples).items():
        value = result
        for name in path.split("."):
            value = value[name] if isinstance(value, dict) else getattr(value, name)
        assert same(value, expected), path


@pytest.mark.parametrize("size", [1, 7, 512, N])
def test_the_split_into_batches_does_not_matter(case, size):
    rows = EVERY[:600] if size == 1 else EVERY
    assert same(fed(case, rows, size).read(), fed(case, rows).read())


def test_the_order_of_examples_does_not_matter(case):
    shuffled = np.random.default_rng(5).permutation(N)
    assert same(fed(case, shuffled).read(), fed(case, EVERY).read(), 1e-8)


def test_merging_shards_equals_one_pass(case):
    first, *others = (fed(case, shard, 50) for shard in np.split(EVERY, [5, 310, 900]))
    for shard in others:
        first.merge(shard)
    assert same(first.read(), fed(case, EVERY).read(), 1e-8)


def test_merging_is_the_same_from_either_side(case):
    left, right = EVERY[:700], EVERY[700:]
    one, other = fed(case, left), fed(case, right)
    one.merge(fed(case, right))
    other.merge(fed(case, left))
    assert same(one.read(), other.read(), 1e-8)


def test_merging_reads_the_other_and_nothing_more(case):
    mine, other = fed(case, EVERY[:600]), fed(case, EVERY[600:])
    before = plain(other.read())
    mine.merge(other)
    assert same(other.read(), before, 0)
    merged = plain(mine.read())
    other.update(*pick(case, EVERY[:600]))
    assert same(mine.read(), merged, 0)
    mine.update(*pick(case, EVERY[:600]))
    assert same(fed(case, np.r_[EVERY[600:], EVERY[:600]]).read(), other.read(), 1e-8)


def test_merging_into_an_empty_one_shares_nothing(case):
    empty, other = case.make(), fed(case, EVERY)
    before = plain(other.read())
    empty.merge(other)
    assert same(empty.read(), before)
    empty.update(*pick(case, EVERY))
    assert same(other.read(), before, 0)


def test_an_empty_one_merged_changes_nothing(case):
    accumulator = fed(case, EVERY)
    before = plain(accumulator.read())
    accumulator.merge(case.make())
    accumulator.update(*pick(case, EVERY[:0]))
    assert same(accumulator.read(), before, 0)


def test_an_empty_one_can_be_read(case):
    case.make().read()
    empty = case.make()
    empty.merge(case.make())
    empty.read()


def test_reading_changes_nothing(case):
    accumulator, untouched = case.make(), case.make()
    for start in range(0, N, 100):
        batch = pick(case, EVERY[start : start + 100])
        accumulator.update(*batch)
        untouched.update(*batch)
        assert same(accumulator.read(), accumulator.read(), 0)
    assert same(accumulator.read(), untouched.read(), 0)


def test_what_was_read_does_not_change_afterwards(case):
    accumulator = fed(case, EVERY[:700])
    result = accumulator.read()
    before = plain(result)
    accumulator.update(*pick(case, EVERY[700:]))
    assert same(result, before, 0)


def test_what_was_given_may_be_overwritten(case):
    batch = tuple(column.clone() if isinstance(column, torch.Tensor) else column for column in case.examples)
    accumulator = case.make()
    accumulator.update(*(column[:600] for column in batch))
    for column in batch:
        if isinstance(column, torch.Tensor):
            column.zero_()
    assert same(accumulator.read(), fed(case, EVERY[:600], 600).read(), 0)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_and_pickles_behave_as_the_original(case, duplicate):
    original = fed(case, EVERY[:700])
    twin = duplicate(original)
    assert same(twin.read(), original.read(), 0)
    before = plain(original.read())
    twin.update(*pick(case, EVERY[700:]))
    assert same(twin.read(), fed(case, EVERY).read())
    assert same(original.read(), before, 0)


def test_the_comparison_of_these_tests_can_fail(case):
    assert not same(fed(case, EVERY).read(), fed(case, EVERY[:-1]).read())
