"""Which task an audit is about: named by `--task`, or seen in the data and the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forgetaudit.errors import AuditError, UsageError
from forgetaudit.plugins import Part, find_part
from forgetaudit.tasks.other_kinds import refused_kind

if TYPE_CHECKING:
    from forgetaudit.tasks.task import Setting, Task

__all__ = ["ENTRY_POINTS", "TASKS", "SelectedTask", "find_task", "make_task"]

# Each takes a Setting and returns a Task.
TASKS = {
    "classification": "forgetaudit.tasks.classifying:classification",
    "causal-lm": "forgetaudit.tasks.causal_lm:causal_lm",
    "masked-lm": "forgetaudit.tasks.masked_lm:masked_lm",
    "embedding": "forgetaudit.tasks.retrieving:embedding",
    "multiple-choice": "forgetaudit.tasks.multiple_choice:multiple_choice",
    "multiple-choice-normalised": "forgetaudit.tasks.multiple_choice:multiple_choice_normalised",
}
ENTRY_POINTS = "forgetaudit.task"
METHODS = ("collate", "score", "decisions")


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedTask:
    """A task, its name in the report, and why it was chosen."""

    name: str
    task: Task
    decision: str


def find_task(name: str) -> Part:
    """The task that `--task` calls `name`, not imported yet. UsageError naming those known."""
    return find_part(name, TASKS, group=ENTRY_POINTS, option="--task")


def make_task(name: str | None, setting: Setting) -> SelectedTask:
    """The task called `name`, else the one that data and model are made for.

    DataError where data and model do not fit each other; UsageError where what was pointed at makes no task.
    """
    if name in (None, *TASKS) and setting.model_task not in (None, *TASKS):
        raise refused_kind(setting.model, str(setting.model_task), "told by its class and its config")
    seen, why = _seen(setting)
    part = find_task(name or seen)
    task = _made(part, setting)
    decision = f"task {part.name}: {why if name is None else f'asked for, {part.origin}'}"
    return SelectedTask(name=part.name, task=task, decision=decision)


def _seen(setting: Setting) -> tuple[str, str]:
    """The task that model and data are made for, and on what evidence."""
    if setting.of_choices:
        return "multiple-choice", "the data hold contexts with choices"
    if setting.model_task not in (None, "classification"):
        return str(setting.model_task), f"what {setting.model} was made for"
    return "classification", f"the {'texts' if setting.of_text else 'data'} have labels"


def _made(part: Part, setting: Setting) -> Task:
    """An object that is a task already is taken as it is; else it is called with the setting."""
    found = part.load()
    is_task = not isinstance(found, type) and not _lacking(found)
    if not is_task and not callable(found):
        raise _no_task(part, found)
    made: Task = found if is_task else _called(part, found, setting)
    if _lacking(made):
        raise _no_task(part, made)
    if part.ours:
        return made
    from forgetaudit.tasks.own_task import OwnTask

    return OwnTask(part.name, made)


def _called(part: Part, found: Any, setting: Setting) -> Any:
    try:
        return found(setting)
    except AuditError:
        raise
    except Exception as error:
        if part.ours:
            raise
        raise UsageError(
            f"--task {part.name} raised an error",
            details=[f"{type(error).__name__}: {error}"],
            hint="it is called with a Setting (forgetaudit.tasks.task)",
        ) from error


def _lacking(candidate: Any) -> list[str]:
    lacking = [name for name in METHODS if not callable(getattr(candidate, name, None))]
    return [*lacking, *([] if hasattr(candidate, "class_names") else ["class_names"])]


def _no_task(part: Part, found: Any) -> UsageError:
    return UsageError(
        f"--task {part.name} is no task but {type(found).__name__}",
        details=[f"it lacks {', '.join(_lacking(found))}"],
        hint="point at a function of a Setting that returns a Task (forgetaudit.tasks.task)",
    )
