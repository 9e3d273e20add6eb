"""What the work says while working; silent by default."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

__all__ = ["SILENT", "Progress"]


class Progress(Protocol):
    """Told by the work how far it is. Knows nothing of the work; the work knows nothing of a terminal."""

    def phase(self, title: str, total: int, unit: str) -> AbstractContextManager[Callable[[int], None]]:
        """A stretch of `total` units ("examples", "bytes"); the yielded function takes those just done."""
        ...

    def note(self, text: str) -> None:
        """Something a user should know of how the work is done, such as a batch that had to be halved."""
        ...


class _Silent:
    @contextmanager
    def phase(self, title: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
        yield lambda done: None  # noqa: ARG005

    def note(self, text: str) -> None:
        pass


SILENT: Progress = _Silent()
