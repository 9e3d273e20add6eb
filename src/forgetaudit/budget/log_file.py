"""A training log of one's own: a JSON object with settings and rates, or rows of steps as JSON lines or CSV."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from forgetaudit.budget.clues import Clues
from forgetaudit.budget.optimizers import named
from forgetaudit.budget.schedules import SCHEDULES
from forgetaudit.budget.trainer_state import from_history, is_trainer_state, read_trainer_state, whole_number
from forgetaudit.checkpoints.regular_file import RegularFile
from forgetaudit.checkpoints.strict_json import parse_object
from forgetaudit.errors import UnreadableCheckpoint

__all__ = ["read_log"]

_MOST_BYTES = 1 << 28
# By this word a log says that every weight was trained, and in one parameter group: then its rates are those of all.
_ONE_GROUP = "all_weights_in_one_group"


def read_log(path: Path) -> Clues:
    """What the log tells, whichever of its forms it has. UnreadableCheckpoint where it is none."""
    file = RegularFile(path)
    try:
        if file.size > _MOST_BYTES:
            raise UnreadableCheckpoint(
                f"{path} is too large for a training log: {file.size:,} bytes",
                hint="pass trainer_state.json, or the log with its learning rates alone",
            )
        text = file.read(0, file.size)
    finally:
        file.close()
    if path.suffix.lower() == ".json":
        found = parse_object(text, path, "log")
        return read_trainer_state(found, path) if is_trainer_state(found) else _settings(found, path)
    rows = list(_table(text, path) if path.suffix.lower() in (".csv", ".tsv") else _lines(text, path))
    clues = from_history(rows, path)
    if clues.logged is None:
        raise _no_rates(path)
    return Clues(
        logged=clues.logged,
        counts_rows=True,
        gradients=clues.gradients,
        sources=(path.name,),
        notes=clues.notes,
    )


def _no_rates(path: Path) -> UnreadableCheckpoint:
    return UnreadableCheckpoint(
        f"{path} has no learning rates",
        hint="a log has rows with step and learning_rate, or is an object with learning_rates",
    )


def _lines(text: bytes, path: Path) -> Iterator[Mapping[str, object]]:
    for line in text.decode("utf-8", errors="replace").splitlines():
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise UnreadableCheckpoint(
                f"{path} is no log: a line of it is not a JSON object",
                hint="pass trainer_state.json, a .jsonl or .csv with step and learning_rate, or a .json",
            )
        yield row


def _table(text: bytes, path: Path) -> Iterator[Mapping[str, object]]:
    lines = text.decode("utf-8", errors="replace").splitlines()
    try:
        for row in csv.DictReader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else ","):
            yield {str(name).strip(): _cell(value) for name, value in row.items() if value not in (None, "")}
    except csv.Error as error:
        raise UnreadableCheckpoint(f"{path} is no table: {error}", hint="write it as CSV again") from None


def _cell(value: object) -> object:
    try:
        return float(str(value))
    except ValueError:
        return value


def _settings(found: Mapping[str, object], path: Path) -> Clues:
    """An object with learning_rates, or learning_rate, steps and schedule; and with what else it tells of the run."""
    flat: dict[str, object] = {}
    optimizer = found.get("optimizer")
    written = optimizer.get("dtype") if isinstance(optimizer, Mapping) else None
    for key, value in found.items():
        if not isinstance(value, Mapping):
            flat[key] = value
            continue
        flat |= {f"{key}.{name}" if name == "name" else str(name): inner for name, inner in value.items()}
    rates = flat.get("learning_rates")
    rows = (
        [{"step": at, "learning_rate": rate} for at, rate in enumerate(rates, 1)]
        if isinstance(rates, list)
        else []
    )
    logged = from_history(rows, path).logged
    peak = _number(flat.get("learning_rate", flat.get("lr")))
    if logged is None and peak is None:
        raise _no_rates(path)
    schedule = flat.get("schedule.name", flat.get("schedule", flat.get("lr_scheduler_type")))
    name = flat.get("optimizer.name", flat.get("optimizer", flat.get("optim")))
    n_named = whole_number(flat.get("steps", flat.get("max_steps"))) or 0
    return Clues(
        optimizer=named(name[:80]) if isinstance(name, str) else None,
        betas=_betas(flat),
        eps=_number(flat.get("eps", flat.get("adam_epsilon"))),
        weight_decay=_number(flat.get("weight_decay")),
        momentum=_number(flat.get("momentum")),
        dampening=_number(flat.get("dampening")),
        nesterov=_flag(flat.get("nesterov")),
        clip=_number(flat.get("max_grad_norm")) or None,
        peak=peak,
        schedule=next((one for one in SCHEDULES if one == schedule and not logged), None),
        n_warmup=whole_number(flat.get("warmup_steps")),
        n_steps=max(len(rows), n_named) or None,
        logged=logged,
        dtype=_text(flat.get("dtype")),
        is_dtype_sure=_text(written) is not None,
        in_one_group=_flag(flat.get(_ONE_GROUP)),
        sources=(path.name,),
    )


def _betas(flat: Mapping[str, object]) -> tuple[float, float] | None:
    value = flat.get("betas", [flat.get("adam_beta1"), flat.get("adam_beta2")])
    pair = [_number(one) for one in value] if isinstance(value, list) and len(value) == 2 else [None, None]
    return None if pair[0] is None or pair[1] is None else (pair[0], pair[1])


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= sys.float_info.max else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
