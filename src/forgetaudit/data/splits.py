"""Which split of a data set is read, and the sentence that says so."""

from collections.abc import Sequence
from difflib import get_close_matches

from forgetaudit.errors import DataError

__all__ = ["SPLIT_NAMES", "choose_split"]

# In the order of preference. The training split is never taken where it was not named: base has seen it.
HELD_OUT = ("test", "validation", "valid", "val", "dev", "eval")
SPLIT_NAMES = frozenset({*HELD_OUT, "train", "training"})


def choose_split(splits: Sequence[str], asked: str | None, where: str) -> tuple[str, str]:
    """The split to read of those there are: the one asked for, the only one, else test, else validation."""
    if asked is not None:
        if asked in splits:
            return asked, f"split {asked}, asked for"
        near = get_close_matches(asked, splits, n=1) or list(splits[:1])
        hint = f"pass --data {where}:{near[0]}"
        raise DataError(f"{where} has no split {asked}", details=[_listed(splits)], hint=hint)
    if len(splits) == 1:
        return splits[0], f"split {splits[0]}, the only one"
    held_out = next((name for name in HELD_OUT if name in splits), None)
    if held_out is None:
        raise DataError(
            f"{where} has several splits, and none is named test or validation",
            details=[_listed(splits)],
            hint=f"name one: --data {where}:{splits[0]}",
        )
    return held_out, f"split {held_out}, of {', '.join(splits)}"


def _listed(splits: Sequence[str]) -> str:
    return f"splits: {', '.join(splits)}"
