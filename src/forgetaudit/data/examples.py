"""Examples in a fixed order, each known by its content, so that two audits can be paired and compared."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forgetaudit.errors import DataError, UsageError
from forgetaudit.gaps import Notes

__all__ = ["Choices", "Example", "Examples", "Input", "content_hash", "sample"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """A text, and two or more texts of which one goes on from it rightly."""

    context: str
    choices: tuple[str, ...]


# An image, an array, a text, two texts that are judged together, or a context with choices.
Input = Image.Image | NDArray[np.generic] | str | tuple[str, str] | Choices


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One input, decoded, with its class id where it has one.

    `id` is the hash of the input's content and, after a hyphen, how many examples before it were the same. `group`
    says which examples are not independent of each other, where that was asked for; `row` is its place in the data.
    """

    id: str
    input: Input
    label: int | None
    group: str | None = None
    row: int = 0


class Examples:
    """The chosen rows of a data set, read one at a time, as often as wanted, always in the order of `rows`.

    `read(row)` gives the input of a row; `labels` holds a class id for every row of the data set, or is None, and
    `groups` what each row has in the column that examples are `grouped` by.
    `of_text` where inputs are texts or pairs of texts, `of_choices` where they are contexts with choices.
    Only hashes and labels stay in memory. DataError where there is no row at all.
    """

    def __init__(
        self,
        read: Callable[[int], Input],
        rows: Sequence[int],
        *,
        labels: Sequence[int] | None,
        class_names: tuple[str, ...] | None,
        decisions: Notes,
        of_text: bool = False,
        of_choices: bool = False,
        groups: Sequence[str] | None = None,
    ) -> None:
        if not rows:
            raise DataError("the data set is empty", hint="pass data with at least one example")
        self.labelled = labels is not None
        self.class_names = class_names
        self.decisions = decisions
        self.of_text = of_text
        self.of_choices = of_choices
        self.grouped = groups is not None
        self._read = read
        self._rows = rows
        self._labels = labels
        self._groups = groups
        self._fingerprint = ""

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Example]:
        fingerprint = hashlib.sha256(repr(self.class_names).encode())
        seen: Counter[bytes] = Counter()
        for row in self._rows:
            example = self._example(row, seen)
            fingerprint.update(f"{example.id} {example.label}\n".encode())
            yield example
        self._fingerprint = fingerprint.hexdigest()

    def at(self, row: int) -> Example:
        """The example in one row of the data; its id says nothing of others that are the same."""
        return self._example(row, Counter())

    def of_rows(self, rows: Sequence[int]) -> "Examples":
        """The same data with other rows chosen, in their order. DataError where there are none."""
        return Examples(
            self._read,
            rows,
            labels=self._labels,
            class_names=self.class_names,
            decisions=self.decisions,
            of_text=self.of_text,
            of_choices=self.of_choices,
            groups=self._groups,
        )

    @property
    def n_groups(self) -> int:
        """How many different values the column to group by has in the chosen rows; 0 without one."""
        return 0 if self._groups is None else len({self._groups[row] for row in self._rows})

    @property
    def labels_present(self) -> frozenset[int]:
        """The class ids that the chosen rows have; empty where there are no labels."""
        labels = self._labels
        return frozenset() if labels is None else frozenset(int(labels[row]) for row in self._rows)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over ids, labels and class names in order; free after a full pass, else makes one."""
        if not self._fingerprint:
            for _ in self:
                pass
        return self._fingerprint

    def _example(self, row: int, seen: Counter[bytes]) -> Example:
        content = self._read(row)
        digest = content_hash(content)
        occurrence = seen[digest]
        seen[digest] += 1
        label = None if self._labels is None else int(self._labels[row])
        group = None if self._groups is None else self._groups[row]
        return Example(id=f"{digest.hex()}-{occurrence}", input=content, label=label, group=group, row=row)


def content_hash(content: Input) -> bytes:
    """16 bytes (BLAKE2b) over what the input holds: pixels, mode and size; values, dtype and shape; or the texts.

    The same picture in another file format has the same hash, a picture in another mode or size another.
    """
    if isinstance(content, Image.Image):
        palette = content.palette.tobytes() if content.palette is not None else b""
        kind, body = f"{content.mode} {content.size}", palette + content.tobytes()
    elif isinstance(content, str):
        kind, body = "text", _encoded(content)
    elif isinstance(content, tuple):
        first, second = (_encoded(text) for text in content)
        # The length keeps ("ab", "c") apart from ("a", "bc").
        kind, body = f"texts {len(first)}", first + second
    elif isinstance(content, Choices):
        texts = [_encoded(text) for text in (content.context, *content.choices)]
        kind, body = f"choices {' '.join(str(len(text)) for text in texts)}", b"".join(texts)
    else:
        values = np.ascontiguousarray(content)
        values = values.astype(values.dtype.newbyteorder("<"), copy=False)
        kind, body = f"{values.dtype.name} {content.shape}", values.tobytes()
    return hashlib.blake2b(body, digest_size=16, person=_person(kind)).digest()


def sample(n: int, limit: int | None, seed: int, *, shuffled: bool = False) -> tuple[Sequence[int], str]:
    """The rows to read of `n`, ascending, and a sentence about them: a random sample, never the head.

    A row's place in the draw is the hash of seed and row, so the sample depends on no version of any library,
    and a larger limit holds every row of a smaller one. `shuffled` leaves the rows in the order of the draw.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit} leaves no example", hint="pass a limit of 1 or more")

    def draw(row: int) -> bytes:
        return hashlib.sha256(f"{seed} {row}".encode()).digest()

    if limit is None or limit >= n:
        rows: Sequence[int] = range(n)
        said = f"{n:,} {'example' if n == 1 else 'examples'}"
    else:
        rows = sorted(nsmallest(limit, range(n), key=draw))
        said = f"{limit:,} of {n:,} examples, a random sample (seed {seed})"
    if not shuffled:
        return rows, said
    return sorted(rows, key=draw), f"{said}, in random order (seed {seed})"


def _encoded(text: str) -> bytes:
    # JSON can spell half of a surrogate pair, which plain UTF-8 refuses.
    return text.encode("utf-8", "surrogatepass")


def _person(kind: str) -> bytes:
    """BLAKE2b's slot for the kind of content keeps it apart from the content itself."""
    return hashlib.blake2b(kind.encode(), digest_size=16).digest()
