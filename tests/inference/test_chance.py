import numpy as np
import pytest

from forgetaudit.inference.chance import at_chance, check_chance


def refusals(accuracy, n, k, majority, runs=2000):
    right = np.random.default_rng(0).binomial(n, accuracy, size=runs)
    return np.mean([at_chance(int(x), n, k, majority, 0.95) for x in right])


@pytest.mark.parametrize("accuracy", [0.08, 0.10, 0.13, 0.15])
def test_random_weights_on_digits_are_refused(accuracy):
    assert refusals(accuracy, 797, 10, 0.105) > 0.95


@pytest.mark.parametrize(
    ("accuracy", "n", "k", "majority"), [(0.01, 797, 100, 0.015), (0.001, 50_000, 1000, 0.001)]
)
def test_guessing_among_many_classes_is_refused(accuracy, n, k, majority):
    assert refusals(accuracy, n, k, majority) > 0.99


def test_always_answering_the_commonest_class_is_refused():
    for n in (100, 800, 50_000):
        assert at_chance(9 * n // 10, n, 2, 0.9, 0.95)
        assert not at_chance(96 * n // 100, n, 2, 0.9, 0.95)


def test_answers_worse_than_guessing_are_refused():
    assert at_chance(30, 800, 2, 0.5, 0.95)


@pytest.mark.parametrize(
    ("accuracy", "n", "k", "majority"),
    [
        (0.97, 797, 10, 0.105),
        (0.4, 200, 10, 0.15),
        (0.6, 2000, 2, 0.5),
        (0.08, 50_000, 1000, 0.001),
        (0.4, 500, 4, 0.28),
    ],
)
def test_an_honest_base_is_never_refused(accuracy, n, k, majority):
    assert refusals(accuracy, n, k, majority) < 0.001


@pytest.mark.parametrize("n_right", [0, 1, 2])
@pytest.mark.parametrize("majority", [0.5, 1.0])
def test_two_examples_of_two_classes_refuse_nobody(n_right, majority):
    assert not at_chance(n_right, 2, 2, majority, 0.95)


def test_data_of_one_class_do_not_accuse_a_good_base():
    assert not at_chance(450, 500, 10, 1.0, 0.95)


def test_the_check_says_what_it_compared():
    check = check_chance(80, 797, 10, 0.105, 0.95)
    assert check.at_chance
    assert (check.chance, round(check.needed, 4)) == (0.105, 0.1945)
    assert check.accuracy < check.upper < check.needed


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(ValueError, match="0 examples of 10 options"):
        at_chance(0, 0, 10, 0.1, 0.95)


def test_a_detector_of_a_rare_class_is_judged_though_never_would_be_right_more_often():
    recalls = [(86, 100), (round(0.94 * 1900), 1900)]
    right = sum(one for one, _ in recalls)
    assert check_chance(right, 2000, 2, 0.95, 0.95).at_chance
    assert not check_chance(right, 2000, 2, 0.95, 0.95, recalls).at_chance
    # And whoever always says "never", or guesses at random, is refused as before.
    assert check_chance(1900, 2000, 2, 0.95, 0.95, [(0, 100), (1900, 1900)]).at_chance
    assert check_chance(1000, 2000, 2, 0.95, 0.95, [(50, 100), (950, 1900)]).at_chance


def test_what_is_proved_above_chance_is_not_refused():
    assert refusals(0.54, 5000, 2, 0.5) < 0.02
    assert refusals(0.5, 5000, 2, 0.5) > 0.95
