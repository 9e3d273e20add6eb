"""Two logs to pairs: one filter, one metric, the same documents, prompts and targets on both sides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from forgetaudit.errors import DataError, UsageError, listing
from forgetaudit.logs.answers import Answer, Answers, Log
from forgetaudit.wording import some

__all__ = ["Pair", "choose_filter", "pair_answers", "task_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What both models answered to one document."""

    base: Answer
    tuned: Answer


def task_of(base: Log, tuned: Log) -> str | None:
    """The task that the names of the files tell; DataError if they tell two."""
    if base.task and tuned.task and base.task != tuned.task:
        raise DataError(
            f"the logs are of different tasks: {base.task} and {tuned.task}",
            hint="pass the logs of one task, run with both models",
        )
    return base.task or tuned.task


def choose_filter(base: Log, tuned: Log, wanted: str | None) -> tuple[str, str]:
    """The filter and why; DataError where there are several to choose from, UsageError where `wanted` is none."""
    shared = [name for name in base.filters if name in tuned.filters]
    told = [f"{log.name}: {some(list(log.filters), 8)}" for log in (base, tuned)]
    if wanted is not None:
        if wanted not in shared:
            near = get_close_matches(wanted, shared, n=1, cutoff=0.4)
            raise UsageError(
                f"--filter {wanted} is not in both logs",
                details=told,
                hint=f"did you mean {near[0]}?" if near else "pass one that both have",
            )
        return wanted, f"filter {wanted} (--filter)"
    if not shared:
        raise DataError(
            "the logs have no filter in common",
            details=told,
            hint="run both models with one version of the task",
        )
    if len(shared) > 1:
        raise UsageError(
            f"the logs have {len(shared)} filters, which score the same answers differently",
            details=[some(shared, 8)],
            hint=f"choose one: --filter {shared[0]}",
        )
    return shared[0], f"filter {shared[0]}, the only one in both logs"


def pair_answers(base: Log, tuned: Log, filter_: str) -> tuple[Pair, ...]:
    """One pair a document, in base's order. DataError unless documents, prompts and targets are the same."""
    left, right = (_by_document(log.filters[filter_]) for log in (base, tuned))
    if left.keys() != right.keys():
        raise _other_documents(base.name, tuned.name, left, right)
    pairs = tuple(Pair(base=answer, tuned=right[doc_hash]) for doc_hash, answer in left.items())
    _refuse_different(
        pairs,
        "prompts",
        lambda answer: answer.prompt_hash,
        "run both with the same few-shot examples, system prompt and chat template",
    )
    _refuse_different(
        pairs,
        "targets",
        lambda answer: answer.target_hash,
        "run both with one version of the task and of lm-eval",
    )
    return pairs


def _by_document(answers: Answers) -> dict[str, Answer]:
    return {answer.doc_hash: answer for answer in answers.rows}


def _other_documents(
    base: str, tuned: str, left: Mapping[str, Answer], right: Mapping[str, Answer]
) -> DataError:
    only_base = [left[key].doc_id for key in left if key not in right]
    only_tuned = [right[key].doc_id for key in right if key not in left]
    n_shared = len(left) - len(only_base)
    if n_shared == 0:
        return DataError(
            f"the logs have no document in common: {len(left)} in {base}, {len(right)} in {tuned}",
            hint="pass the logs of one task and one version of its data",
        )
    differ = sorted(set(only_base) & set(only_tuned), key=_as_number)
    if differ:
        return DataError(
            f"{len(differ)} documents are not the same in both logs ({n_shared} are)",
            details=[listing("same doc_id, other content", differ, shown=5)],
            hint="the data changed between the runs: run both models on one version of it",
        )
    details = [
        listing(f"only in {name}: doc_id", sorted(only, key=_as_number), shown=5)
        for name, only in ((base, only_base), (tuned, only_tuned))
        if only
    ]
    return DataError(
        f"{len(only_base) + len(only_tuned)} documents stand in one log only ({n_shared} in both)",
        details=details,
        hint="run both models with the same --limit or --samples, to the end",
    )


def _as_number(doc_id: str) -> tuple[int, str]:
    return (int(doc_id), "") if doc_id.isdecimal() else (-1, doc_id)


def _refuse_different(
    pairs: Sequence[Pair], what: str, read: Callable[[Answer], str | None], hint: str
) -> None:
    """Hashes that stand on both sides must be equal; older logs have none."""
    differ = [
        pair.base.doc_id
        for pair in pairs
        if (base := read(pair.base)) and (tuned := read(pair.tuned)) and base != tuned
    ]
    if not differ:
        return
    why = ": other few-shot examples or chat template" if what == "prompts" else ""
    raise DataError(
        f"the {what} differ for {len(differ)} of {len(pairs)} documents{why}",
        details=[listing("doc_id", differ, shown=5)],
        hint=hint,
    )
