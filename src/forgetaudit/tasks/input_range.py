"""In what range images and arrays reach the network: told where few networks are trained on it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from forgetaudit.gaps import Gap
from forgetaudit.tasks.pixels import DEEP_MODES
from forgetaudit.wording import counted

__all__ = ["InputRange"]

# Pixels by mean and standard deviation reach 2.7 or so; beyond this they were not scaled.
SCALED = 5.0
# Below this an image of [0, 1] is all but black.
NEARLY_BLACK = 0.02
# What a byte holds, and what hand-made features of whole numbers rarely reach.
BYTE, FEW = 255, 16


@dataclass
class _Range:
    """The least and largest number of all inputs of one kind, as stored and as given to the network."""

    n: int = 0
    low: float = np.inf
    high: float = -np.inf
    given_low: float = np.inf
    given_high: float = -np.inf


class InputRange:
    """Collects the range of inputs that may be stored otherwise than the network was trained on. Mutable."""

    def __init__(self) -> None:
        self._seen: dict[str, _Range] = {}

    def look(self, content: Any, given: Tensor) -> None:
        """Adds one input and what was made of it; 8-bit images and plain floats are passed over."""
        kind, values = _kind(content)
        if kind is None or not values.size or not given.numel():
            return
        seen = self._seen.setdefault(kind, _Range())
        seen.n += 1
        seen.low, seen.high = min(seen.low, float(values.min())), max(seen.high, float(values.max()))
        seen.given_low = min(seen.given_low, float(given.min()))
        seen.given_high = max(seen.given_high, float(given.max()))

    def gaps(self) -> tuple[Gap, ...]:
        """One for each kind of input that reached the network unscaled, nearly black, or all alike."""
        return tuple(_gap(kind, seen) for kind, seen in sorted(self._seen.items()) if _is_odd(seen))


def _kind(content: Any) -> tuple[str | None, np.ndarray[Any, Any]]:
    if isinstance(content, Image.Image):
        deep = content.mode in (*DEEP_MODES, "F")
        return (f"image of mode {content.mode}", np.asarray(content)) if deep else (None, np.empty(0))
    if not isinstance(content, np.ndarray) or content.ndim == 0:
        return None, np.empty(0)
    if content.dtype.kind in "ui" or (content.dtype.kind == "f" and _is_bytes(content)):
        return f"array of {content.dtype}", content
    return None, content


def _is_bytes(values: np.ndarray[Any, Any]) -> bool:
    """Whether floats are what 8-bit pixels are."""
    if values.ndim < 2 or not values.size or not FEW < values.max() <= BYTE or values.min() < 0:
        return False
    return bool((values == np.rint(values)).all())


def _is_odd(seen: _Range) -> bool:
    unscaled = max(abs(seen.given_low), abs(seen.given_high)) > SCALED
    varied = seen.high > seen.low
    flat = varied and seen.given_high == seen.given_low
    black = varied and seen.given_low >= 0 and seen.given_high < NEARLY_BLACK
    return unscaled or flat or black


def _gap(kind: str, seen: _Range) -> Gap:
    return Gap(
        ident="input-range",
        what=f"{counted(seen.n, 'input')} ({kind}) hold {seen.low:g} to {seen.high:g} and were given to the network as"
        f" {seen.given_low:.3g} to {seen.given_high:.3g}, where 0 to 1 or standardised pixels are usual",
        advice="give the model the preprocess that it was trained with, or store the inputs as it takes them",
        holds="nothing",
        evidence={"low": seen.low, "high": seen.high},
    )
