"""Read what `lm_eval --log_samples` writes: one JSON object a document and filter."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from forgetaudit.errors import DataError, listing
from forgetaudit.logs.answers import Answer, Answers, Log, PerUnit, Score
from forgetaudit.logs.likelihoods import kind_of, log_loss_of, n_options_of, number
from forgetaudit.logs.lines import Fingerprint, read_lines

__all__ = ["LOG_NAME", "read_log"]

# samples_TASK_2026-08-07T10-11-12.123456.jsonl: only the name of the file says which task it is.
LOG_NAME = re.compile(r"samples_(.+)_\d{4}-\d\d-\d\dT[\d.-]+\.jsonl")

# Older logs do not list their metrics; then every other key is one.
_NO_METRICS = {
    "arguments", "doc", "doc_hash", "doc_id", "filter", "filtered_resps", "metrics", "prompt_hash", "resps",
    "target", "target_hash",
}  # fmt: skip

# Given for each document as [log-likelihood, number of units], and divided over the whole set.
_PER_UNIT = {"word_perplexity", "byte_perplexity", "bits_per_byte"}


def read_log(path: Path, advance: Callable[[int], None]) -> Log:
    """Every line of `path`, by filter, without the documents' text; `advance` is told the bytes read.

    DataError where it is no such log, breaks off, mixes tasks, or holds a document more than once.
    """
    fingerprint = Fingerprint()
    rows: dict[str, list[Answer]] = defaultdict(list)
    metrics: dict[str, dict[str, None]] = defaultdict(dict)
    columns: dict[frozenset[str], None] = {}
    for at, line in read_lines(path, fingerprint, advance):
        answer = _answer(path, at, line)
        filter_ = str(line.get("filter", "none"))
        rows[filter_].append(answer)
        metrics[filter_].update(dict.fromkeys(answer.scores))
        columns[_columns(line)] = None
    if not rows:
        raise DataError(f"{path} holds no samples", hint="run lm-eval again with --log_samples")
    for filter_, answers in rows.items():
        _refuse_mixed_tasks(path, answers, list(columns))
        _refuse_repeats(path, filter_, answers)
    named = LOG_NAME.fullmatch(path.name)
    return Log(
        name=path.name,
        path=str(path),
        n_bytes=fingerprint.n_bytes,
        sha256=fingerprint.sha256,
        task=named[1] if named else None,
        filters={
            name: Answers(rows=tuple(answers), metrics=tuple(metrics[name])) for name, answers in rows.items()
        },
    )


def _answer(path: Path, at: int, line: Mapping[str, Any]) -> Answer:
    doc_hash = line.get("doc_hash")
    if not isinstance(doc_hash, str) or not doc_hash:
        raise _no_hash(path, at, line)
    kind = kind_of(line)
    return Answer(
        line=at,
        doc_id=str(line.get("doc_id", at)),
        doc_hash=doc_hash,
        prompt_hash=_text(line.get("prompt_hash")),
        target_hash=_text(line.get("target_hash")),
        kind=kind,
        n_options=n_options_of(line, kind),
        log_loss=log_loss_of(line, kind),
        scores={name: _score(name, line.get(name)) for name in _metrics(line)},
    )


def _columns(line: Mapping[str, Any]) -> frozenset[str]:
    doc = line.get("doc")
    return frozenset(doc) if isinstance(doc, dict) else frozenset()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _metrics(line: Mapping[str, Any]) -> list[str]:
    named = line.get("metrics")
    if isinstance(named, list):
        return [str(name) for name in named]
    return [name for name in line if name not in _NO_METRICS]


def _score(name: str, value: object) -> Score:
    if name in _PER_UNIT and isinstance(value, list) and len(value) == 2:
        log_likelihood, n_units = number(value[0]), number(value[1])
        if log_likelihood is None or n_units is None:
            return None
        if not n_units >= 0:
            n_units = math.nan
        return PerUnit(log_likelihood=log_likelihood, n_units=n_units)
    return number(value)


def _no_hash(path: Path, at: int, line: Mapping[str, Any]) -> DataError:
    if "results" in line and "doc_id" not in line:
        return DataError(
            f"{path} is a summary of results, not samples", hint="pass the samples_*.jsonl written beside it"
        )
    known = [name for name in line if name in _NO_METRICS]
    return DataError(
        f"{path}: line {at} has no doc_hash, by which documents are paired",
        details=[f"it has {', '.join(list(line)[:8]) or 'nothing'}"],
        hint="run both models again with lm-eval 0.4.3 or newer"
        if "doc_id" in known
        else "pass logs that lm-eval wrote with --log_samples",
    )


def _refuse_mixed_tasks(path: Path, answers: list[Answer], columns: list[frozenset[str]]) -> None:
    """Documents of one task have the same columns, and each its own place."""
    hashes: dict[str, set[str]] = defaultdict(set)
    for answer in answers:
        hashes[answer.doc_id].add(answer.doc_hash)
    if shared := [doc_id for doc_id, found in hashes.items() if len(found) > 1]:
        detail = listing("doc_ids that stand for several documents", shared, shown=5)
    elif len(columns) > 1:
        only = sorted(columns[0] ^ columns[1])
        detail = listing("columns that only some documents have", only, shown=5)
    else:
        return
    raise DataError(
        f"{path} holds several tasks, or several versions of one",
        details=[detail],
        hint="pass the log of one task: lm-eval writes one file for each",
    )


def _refuse_repeats(path: Path, filter_: str, answers: list[Answer]) -> None:
    """A document that counts twice would pass for two independent ones."""
    lines: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        lines[answer.doc_hash].append(answer)
    repeated = [found for found in lines.values() if len(found) > 1]
    if not repeated:
        return
    extra = sum(len(found) - 1 for found in repeated)
    places = [
        f"doc_id {found[0].doc_id} on lines {', '.join(str(answer.line) for answer in found[:3])}"
        for found in repeated
    ]
    same_place = all(len({answer.doc_id for answer in found}) == 1 for found in repeated)
    raise DataError(
        f"{path} holds {len(repeated)} of its {len(lines)} documents more than once",
        details=[f"{extra} lines too many under the filter {filter_}", listing("repeated", places, shown=3)],
        hint="two runs were written to one file: pass the log of one run"
        if same_place
        else "the data set itself repeats them: remove the repeats from both logs",
    )
