"""Two halves of a data set, decided by content: one to choose on, one to confirm the choice on."""

import hashlib

from forgetaudit.data.examples import Examples
from forgetaudit.errors import DataError

__all__ = ["split_halves"]

FEWEST = 2


def split_halves(examples: Examples, name: str) -> tuple[Examples, Examples]:
    """The examples to search on and those to confirm on; every example is read once to know its content.

    What is equal, or of one group, lies in one half, so that nothing chosen on one is confirmed on itself; the order
    of the rows plays no part. DataError where a half would hold next to nothing; `name` is for the message.
    """
    rows: tuple[list[int], list[int]] = ([], [])
    for example in examples:
        known_by = example.id.partition("-")[0] if example.group is None else f"group {example.group}"
        rows[hashlib.sha256(known_by.encode()).digest()[0] & 1].append(example.row)
    if min(len(half) for half in rows) < FEWEST:
        raise DataError(
            f"{name} cannot be halved: a remedy is chosen on one half of the examples and confirmed on the other",
            details=[f"the halves have {len(rows[0])} and {len(rows[1])} different examples or groups"],
            hint="pass a few hundred held-out examples",
        )
    return examples.of_rows(rows[0]), examples.of_rows(rows[1])
