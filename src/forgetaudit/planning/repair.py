"""What is asked of a repair, from words."""

from collections.abc import Sequence
from dataclasses import dataclass

from forgetaudit.errors import UsageError
from forgetaudit.policy import drop_limit

__all__ = ["FAMILIES", "RepairWords"]

FAMILIES = ("mixture", "stages", "ramp", "rollback", "intruders", "buffers", "head", "stitch")
POINT, HALF = "1pt", 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairWords:
    """As they were typed; None where they were not. `target`: whether there are data of the target task."""

    target: bool
    keep_target: str | None = None
    win_back: str | None = None
    families: str | Sequence[str] | None = None

    def asked(self) -> tuple[tuple[str, ...], float, float | None]:
        """Which families, the most of target accuracy to lose, and the least share of the lost points to win back.

        Without target data half of them if nothing is said; with them None, which is any sure gain. UsageError.
        """
        if self.keep_target is not None and not self.target:
            raise UsageError("--keep-target needs --target", hint="pass held-out data of the target task")
        win_back = None if self.target else HALF
        if self.win_back is not None:
            win_back = _share(self.win_back)
        return _families(self.families), _points(self.keep_target or POINT), win_back


def _points(text: str) -> float:
    """`1pt` -> 0.01."""
    found, relative = drop_limit(text, "--keep-target")
    if relative:
        raise UsageError(f"--keep-target {text} is no number of points", hint='write it as "1pt"')
    return found


def _share(text: str) -> float:
    """`50%` -> 0.5."""
    number = text.strip().removesuffix("%").strip()
    try:
        share = float(number) / 100
    except ValueError:
        share = -1.0
    if not text.strip().endswith("%") or not 0 < share <= 1:
        raise UsageError(
            f"--win-back {text} is no share of the lost points", hint='write it as "50%", at most 100%'
        )
    return share


def _families(words: str | Sequence[str] | None) -> tuple[str, ...]:
    """Those named, each once, in the order in which they are tried; all of them for None."""
    if words is None:
        return FAMILIES
    parts = words.split(",") if isinstance(words, str) else list(words)
    named = [part.strip() for part in parts if part.strip()]
    for name in named or ("",):
        if name not in FAMILIES:
            told = words if isinstance(words, str) else ",".join(words)
            raise UsageError(
                f"--families {told}: there is no family {name!r}", hint=f"choose from {', '.join(FAMILIES)}"
            )
    return tuple(family for family in FAMILIES if family in named)
