"""Rounding never lies."""

import pytest

from forgetaudit.renderers import numbers


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 %"), (1, "100 %"), (0.974, "97.4 %"), (0.9997, "99.9+ %"), (0.9994, "99.9 %"), (0.0002, "<0.1 %"),
        (0.0006, "0.1 %"),
    ],
)  # fmt: skip
def test_percentages(value: float, shown: str) -> None:
    assert numbers.percent(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.113, "−11.3"), (-0.02, "+2.0"), (0, "0"), (0.0002, "−<0.1"), (-0.0002, "+<0.1")]
)
def test_a_loss_of_accuracy_is_shown_with_a_minus(value: float, shown: str) -> None:
    assert numbers.signed_points(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1, "1"), (0.99996, "0.999+"), (0.9994, "0.999"), (0, "0"), (0.0001, "<0.001"), (-0.02, "−0.020"), (1.003, "1.003"),
        (1e20, "1e+20"),
    ],
)  # fmt: skip
def test_similarities(value: float, shown: str) -> None:
    assert numbers.unit(value) == shown


@pytest.mark.parametrize(
    ("p", "shown"), [(0.5, "0.50"), (0.0347, "0.03"), (2.1e-21, "2e-21"), (0.004, "4e-3")]
)
def test_p_values(p: float, shown: str) -> None:
    assert numbers.p_value(p) == shown


@pytest.mark.parametrize(
    ("n", "shown"), [(0, "0 bytes"), (999, "999 bytes"), (4_400_000_000, "4.4 GB"), (12_500, "12.5 kB")]
)
def test_sizes(n: int, shown: str) -> None:
    assert numbers.size(n) == shown


def test_bars_have_a_fixed_scale_and_show_that_there_is_something() -> None:
    assert numbers.bar(1, 4) == "████"
    assert numbers.bar(0.5, 4) == "██"
    assert numbers.bar(0, 4) == ""
    assert numbers.bar(1e-9, 4) == "▏"
    assert numbers.bar(7, 4) == "███›"


@pytest.mark.parametrize(
    ("value", "said"),
    [(-0.0512, "−0.051"), (0.15, "+0.150"), (0.0001, "+<0.001"), (0.0, "0"), (1.0, "+1.000")],
)
def test_a_change_carries_its_sign_and_never_rounds_to_nothing(value: float, said: str) -> None:
    assert numbers.signed(value) == said
