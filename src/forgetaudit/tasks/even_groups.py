"""Rows of unequal length in groups that need little padding."""

from collections.abc import Sequence

__all__ = ["even_groups"]


def even_groups(
    lengths: Sequence[int], *, most: int, most_padded: int, most_rows: int | None = None
) -> list[list[int]]:
    """The numbers of all rows, longest first, in groups of at most `most` tokens, padding included, or one row.

    A group is closed when padding its rows to the longest would take more than `most_padded` tokens.
    """
    groups: list[list[int]] = []
    n_padded = 0
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        longest = lengths[groups[-1][0]] if groups else 0
        n_padded += longest - lengths[row]
        n_rows = len(groups[-1]) + 1 if groups else 1
        full = n_rows * longest > most or (most_rows is not None and n_rows > most_rows)
        if not groups or full or n_padded > most_padded:
            groups.append([])
            n_padded = 0
        groups[-1].append(row)
    return groups
