"""Styled lines: what a screen is made of."""

from collections.abc import Sequence
from typing import TypeVar

__all__ = ["LABEL", "Line", "evenly"]

Item = TypeVar("Item")

# (text, style) pieces; a style is a key of STYLES in the terminal renderer.
Line = list[tuple[str, str]]

# The width of the first column.
LABEL = 14


def evenly(every: Sequence[Item], most: int) -> Sequence[Item]:
    """All, or `most` evenly spaced ones, the first and the last among them."""
    if len(every) <= most:
        return every
    return [every[round(at * (len(every) - 1) / (most - 1))] for at in range(most)]
