"""What the numbers depend on: files, model, data, settings, versions. The page's last section, and the least loud."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from forgetaudit.renderers import numbers
from forgetaudit.report.inputs import DataInput, FileInput
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.report.weights import WeightSection

__all__ = ["decisions", "last_line", "provenance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A line of provenance."""

    term: str
    values: tuple[str, ...]


def provenance(report: AuditReport, exit_note: str = "") -> Iterator[Fact]:
    """A fact a line, in the order of the work."""
    inputs = report.inputs
    yield Fact(term="exit code", values=(exit_note or str(report.exit_code),))
    yield _file("base", inputs.base)
    for file in inputs.tuned:
        yield _file(file.name, file)
    for weights in () if isinstance(report.weights, Absent) else report.weights:
        yield from _alignment(weights)
    if isinstance(inputs.model, Absent):
        yield Fact(term="model", values=(f"not run: {inputs.model.not_measured}",))
    else:
        evidence = f"{inputs.model.name} ({inputs.model.evidence})"
        yield Fact(term="model", values=(evidence, *inputs.model.notes))
    yield from (_data(data) for data in inputs.data)
    yield Fact(term="settings", values=(" · ".join(_pairs(inputs.settings)),))
    yield Fact(term="versions", values=(" · ".join(_pairs(inputs.versions)),))
    if report.run:
        yield Fact(term="run", values=(" · ".join(_pairs(report.run)),))


def _file(name: str, file: FileInput) -> Fact:
    digest = (
        f"not hashed: {file.digest.not_measured}"
        if isinstance(file.digest, Absent)
        else f"{file.digest.method} {file.digest.value}"
    )
    return Fact(
        term=name, values=(file.path, f"{file.format}, {numbers.size(file.bytes)}", digest, *file.notes)
    )


def _alignment(weights: WeightSection) -> Iterator[Fact]:
    if weights.alignment:
        yield Fact(term=f"names in {weights.variant}", values=weights.alignment)


def _data(data: DataInput) -> Fact:
    about = (data.where, f"{numbers.count(data.n)} examples", f"fingerprint {data.fingerprint}")
    return Fact(term=f"data {data.data}", values=(*about, *data.decisions))


def _pairs(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """`gate.confidence 0.95`; what was not set is left out, and so are lists: rules have a table of their own."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _pairs(value, f"{prefix}{key}.")
        elif value is not None and not isinstance(value, list | tuple):
            yield f"{prefix}{key} {value}"


def decisions(report: AuditReport) -> Iterator[str]:
    """Every decision taken on the way, one line each: what --verbose says."""
    for file in (report.inputs.base, *report.inputs.tuned):
        yield from (f"{file.name}: {note}" for note in (file.format, *file.notes))
    for weights in () if isinstance(report.weights, Absent) else report.weights:
        yield from (f"{weights.variant}: {step}" for step in weights.alignment)
    if not isinstance(report.inputs.model, Absent):
        yield from (f"model: {note}" for note in report.inputs.model.notes)
    for data in report.inputs.data:
        yield from (f"{data.data}: {decision}" for decision in data.decisions)


def last_line(report: AuditReport, exit_note: str) -> str:
    """Of a screen: the exit code, and what the numbers depend on."""
    settings = report.inputs.settings
    model = report.inputs.model
    parts = [f"exit {exit_note or report.exit_code}"]
    if not isinstance(model, Absent):
        parts.append(f"model {model.name} ({model.evidence})")
    parts += [f"data {data.fingerprint[:8]}…" for data in report.inputs.data]
    if "samples" in settings:
        parts.append(f"{settings['samples']} metric {settings['metric']}, filter {settings['filter']}")
    if "device" in settings:
        parts += [f"{settings['device']} {settings['dtype']}", f"seed {settings['seed']}"]
    return " · ".join(parts)
