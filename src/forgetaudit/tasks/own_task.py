"""A task that is not ours, held to what it promises: where it breaks that, it is named, and not taken for our bug."""

from collections.abc import Iterator
from contextlib import contextmanager
from traceback import extract_tb
from typing import Any

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example
from forgetaudit.errors import AuditError, UsageError
from forgetaudit.tasks.task import Outcomes, Task

__all__ = ["OwnTask"]


class OwnTask:
    """`task`, called `name` on the command line, with every result checked.

    UsageError naming the method and the place where it raised, or what is wrong with what it returned.
    """

    def __init__(self, name: str, task: Task) -> None:
        self._name = name
        self._task = task

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The task's own."""
        with self._held_to("class_names"):
            names = self._task.class_names
            return None if names is None else tuple(names)

    def collate(self, examples: list[Example]) -> Batch:
        """The task's own batch; it has the examples in their order, and their labels."""
        with self._held_to("collate"):
            batch = self._task.collate(examples)
            ids = tuple(example.id for example in examples)
            if not isinstance(batch, Batch) or batch.ids != ids:
                raise self._broken(
                    "collate", "returned something else than a Batch of these examples, in their order"
                )
            if batch.labels is None or tuple(batch.labels.shape) != (len(ids),):
                raise self._broken("collate", "returned a Batch without one label for each example")
            return batch

    def score(self, outputs: Any, batch: Batch) -> Outcomes:
        """The task's own outcomes, one for each example of the batch."""
        with self._held_to("score"):
            outcomes = self._task.score(outputs, batch)
            shapes = {values.shape for values in (outcomes.predicted, outcomes.correct, outcomes.nll)}
            if shapes != {(len(batch),)}:
                raise self._broken("score", f"returned outcomes that are not of shape ({len(batch)},)")
            return outcomes

    def decisions(self) -> tuple[str, ...]:
        """The task's own."""
        with self._held_to("decisions"):
            return tuple(str(said) for said in self._task.decisions())

    @contextmanager
    def _held_to(self, method: str) -> Iterator[None]:
        try:
            yield
        except AuditError:
            raise
        except Exception as error:
            place = extract_tb(error.__traceback__)[-1]
            raise UsageError(
                f"--task {self._name}: {method} raised an error",
                details=[f"{type(error).__name__}: {error}"],
                hint=f"see {place.filename}:{place.lineno}",
            ) from error

    def _broken(self, method: str, what: str) -> UsageError:
        return UsageError(
            f"--task {self._name}: {method} {what}", hint="see the Protocol in forgetaudit.tasks.task"
        )
