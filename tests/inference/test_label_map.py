import numpy as np
import pytest

from forgetaudit.inference.label_map import find_wrong_label_map


def halves(n, k, accuracy, names=None, seed=0, shares=None):
    """Confusion counts of both halves: base right with `accuracy`, classes read under `names` (label -> name)."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(k, size=n, p=shares)
    wrong = (truth + rng.integers(1, k, size=n)) % k
    predicted = np.where(rng.random(n) < accuracy, truth, wrong)
    read = truth if names is None else np.asarray(names)[truth]
    counts = np.zeros((2, k, k), int)
    np.add.at(counts, (rng.integers(0, 2, size=n), read, predicted), 1)
    return counts[0].tolist(), counts[1].tolist()


def test_folders_sorted_as_strings_are_noticed():
    names = [sorted(range(12), key=str).index(label) for label in range(12)]
    found = find_wrong_label_map(*halves(800, 12, 0.91, names))
    assert found is not None
    assert dict(found.moved) == {name: label for label, name in enumerate(names) if name != label}
    assert found.n_right_as_moved > 0.85 * found.n
    assert found.n_right_as_read < 0.05 * found.n
    assert found.p_value < 1e-50


def test_all_names_shuffled_are_noticed():
    names = np.random.default_rng(5).permutation(10)
    assert find_wrong_label_map(*halves(797, 10, 0.91, names)) is not None


@pytest.mark.parametrize("k", [10, 100])
def test_two_names_exchanged_are_noticed_and_only_those_are_named(k):
    names = list(range(k))
    names[3], names[8] = 8, 3
    found = find_wrong_label_map(*halves(80 * k, k, 0.9, names))
    assert found is not None
    assert found.moved == ((3, 8), (8, 3))


def test_two_separate_exchanges_are_one_finding():
    names = [1, 0, 2, 3, 5, 4, 6, 7, 8, 9]
    found = find_wrong_label_map(*halves(2000, 10, 0.8, names))
    assert found is not None
    assert {label for label, _ in found.moved} == {0, 1, 4, 5}


def test_an_offset_by_one_is_noticed():
    found = find_wrong_label_map(*halves(1000, 11, 0.9, [*range(1, 11), 0], shares=[0.1] * 10 + [0.0]))
    assert found is not None
    assert len(found.moved) >= 10


@pytest.mark.parametrize(("n", "k"), [(2, 2), (20, 10), (797, 10), (500, 100), (3000, 1000)])
@pytest.mark.parametrize("accuracy", [0.15, 0.4, 0.7, 0.97])
def test_an_honest_base_never_fires(n, k, accuracy):
    for seed in range(10 if k < 1000 else 1):
        assert find_wrong_label_map(*halves(n, k, accuracy, seed=seed)) is None


def test_two_classes_that_mean_the_same_do_not_fire():
    rng = np.random.default_rng(0)
    for share in (0.42, 0.46, 0.5):
        counts = np.zeros((2, 4, 4), int)
        for half in counts:
            half[2, 2] = half[3, 3] = 50
            half[0] = [*rng.multinomial(60, [share, 1 - share]), 0, 0]
            half[1] = [*rng.multinomial(60, [1 - share, share]), 0, 0]
        assert find_wrong_label_map(*counts.tolist()) is None


def test_a_class_always_taken_for_another_is_no_wrong_name():
    counts = [[2, 48, 0], [3, 47, 0], [0, 0, 50]]
    assert find_wrong_label_map(counts, counts) is None


def test_counts_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="same k x k"):
        find_wrong_label_map([[1, 0], [0, 1]], [[1]])
