"""A task that is not ours, held to what it promises: where it breaks that, it is named, and not taken for our bug."""

from collections.abc import Callable, Iterator
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

    UsageError naming the method and the place where it raised, or what is wrong with what it returned. What a task may
    have beside its methods is passed on, and called under the same watch.
    """

    def __init__(self, name: str, task: Task) -> None:
        self._name = name
        self._task = task
        if hasattr(task, "unit"):
            self.unit = str(task.unit)
        if hasattr(task, "metric"):
            self.metric = str(task.metric)
        for optional in ("parts", "soft", "keep", "settle", "loss"):
            if hasattr(task, optional):
                setattr(self, optional, self._watched(optional))
        # Errors of its forward are the model's, which the engine tells.
        if hasattr(task, "forward"):
            self.forward = task.forward

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The task's own."""
        with self._held_to("class_names"):
            names = self._task.class_names
            return None if names is None else tuple(names)

    def collate(self, examples: list[Example]) -> Batch:
        """The task's own batch: a row for each example in their order, with labels; or rows in groups by example."""
        with self._held_to("collate"):
            batch = self._task.collate(examples)
            ids = tuple(example.id for example in examples)
            if not isinstance(batch, Batch) or (batch.ids != ids and not _in_groups(batch, ids)):
                raise self._broken(
                    "collate", "returned something else than a Batch of these examples, in their order"
                )
            if batch.labels is not None and tuple(batch.labels.shape) != (len(batch),):
                raise self._broken("collate", "returned a Batch without one label for each row")
            return batch

    def score(self, outputs: Any, batch: Batch) -> Outcomes:
        """The task's own outcomes, one for each example of the batch."""
        with self._held_to("score"):
            outcomes = self._task.score(outputs, batch)
            if outcomes.wanted is None and batch.labels is None:
                raise self._broken("score", "says no right answers (wanted), and the batch has no labels")
            n = len(batch) if outcomes.row is None else len(outcomes.row)
            wanted = outcomes.correct if outcomes.wanted is None else outcomes.wanted
            found = (outcomes.predicted, outcomes.correct, outcomes.nll, wanted, *outcomes.scores.values())
            if any(values.shape != (n,) for values in found):
                raise self._broken("score", f"returned outcomes that are not of shape ({n},)")
            return outcomes

    def decisions(self) -> tuple[str, ...]:
        """The task's own."""
        with self._held_to("decisions"):
            return tuple(str(said) for said in self._task.decisions())

    def _watched(self, method: str) -> Callable[..., Any]:
        def called(*args: Any) -> Any:
            with self._held_to(method):
                return getattr(self._task, method)(*args)

        return called

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


def _in_groups(batch: Batch, ids: tuple[str, ...]) -> bool:
    """Whether every row belongs to one of the examples, in their order."""
    return batch.groups is not None and tuple(dict.fromkeys(batch.groups)) == tuple(
        name for name in ids if name in set(batch.groups)
    )
