"""What the numbers depend on: files, model, data, settings, versions. The page's last section, and the least loud."""

from collections.abc import Iterator, Mapping
from typing import Any

from forgetaudit.renderers import numbers
from forgetaudit.renderers.document import Cell, Column, Fact, Table
from forgetaudit.report.inputs import DataInput, FileInput
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.report.weights import WeightSection

__all__ = ["noise_table", "provenance"]


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


def noise_table(report: AuditReport) -> Table | None:
    """What the machine alone changes, where it was measured."""
    if not report.noise:
        return None
    return Table(
        ident="noise",
        title="Noise floor: base against itself",
        columns=(
            Column(title="data"),
            Column(title="batch sizes"),
            Column(title="changed answers", numeric=True),
            Column(title="flips", numeric=True),
            Column(title="n", numeric=True),
            Column(title="largest change in log loss, nats", numeric=True),
        ),
        rows=tuple(
            (
                Cell(text=noise.data, named=True),
                Cell(text=" and ".join(str(size) for size in noise.batch_sizes)),
                Cell(text=numbers.count(noise.n_answers_changed)),
                Cell(text=numbers.count(noise.n_flips)),
                Cell(text=numbers.count(noise.n)),
                Cell(text=numbers.plain(noise.largest_nll_change)),
            )
            for noise in report.noise
        ),
        note="Exact: the same weights on the same examples again, in batches of the other size and of the first.",
    )
