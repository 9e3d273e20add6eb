"""What a report of trace, locate or repair is about, as chapters of its page; of the others there are none."""

from collections.abc import Iterator

from forgetaudit.renderers.document import Caps, Chapter, Note
from forgetaudit.renderers.gate_tables import notes
from forgetaudit.renderers.locate_tables import parts_table, resets_table, sums_table
from forgetaudit.renderers.phrases import findings_of
from forgetaudit.renderers.preview_tables import shares_table
from forgetaudit.renderers.repair_chart import repair_chart
from forgetaudit.renderers.repair_tables import (
    confirmed_table,
    demands_table,
    result_table,
    strengths_table,
    tried_table,
)
from forgetaudit.renderers.repair_words import shown_remedies
from forgetaudit.renderers.trace_chart import limit_on, trace_chart
from forgetaudit.renderers.trace_layers import layers_over_steps
from forgetaudit.renderers.trace_tables import (
    checkpoints_table,
    continual_table,
    run_table,
    turning_table,
    way_table,
)
from forgetaudit.report.locate import LocateSection
from forgetaudit.report.repair import RepairSection
from forgetaudit.report.report import AuditReport
from forgetaudit.report.trace import TraceSection
from forgetaudit.wording import counted

__all__ = ["chapters"]


def chapters(report: AuditReport, caps: Caps) -> Iterator[Chapter]:
    """In the order in which they are read."""
    if report.trace is not None:
        yield from _trace(report, report.trace, caps)
    for section in report.locate:
        yield _locate(report, section, caps)
    if report.repair is not None:
        yield from _repair(report, report.repair, caps)


def _trace(report: AuditReport, trace: TraceSection, caps: Caps) -> Iterator[Chapter]:
    """The curve on each source data set, then what is of the whole run."""
    last = trace.points[-1].variant
    for summary in trace.summaries:
        data = summary.data
        told, left = _findings(report, last, data, caps)
        yield Chapter(
            heading=f"The run on {data}",
            charts=(trace_chart(report, trace, data, caps.checkpoints),),
            notes=told,
            notes_left=left,
            lead=(turning_table(trace, summary),),
            tables=(checkpoints_table(trace, data, limit_on(report, data), caps),),
        )
    tables = (
        run_table(trace),
        continual_table(trace),
        way_table(trace, caps),
        *layers_over_steps(trace, caps),
    )
    yield Chapter(heading="The whole run", tables=tuple(table for table in tables if table is not None))


def _findings(report: AuditReport, variant: str, data: str, caps: Caps) -> tuple[tuple[Note, ...], int]:
    found = findings_of(report, variant, data)
    return notes(found, caps), max(len(found) - caps.findings, 0)


def _locate(report: AuditReport, section: LocateSection, caps: Caps) -> Chapter:
    told, left = _findings(report, report.variants[1].name, section.data, caps)
    heading = f"Where the loss on {section.data} sits"
    if section.preview is not None:
        lead = (shares_table(section, section.preview, caps),)
        return Chapter(heading=heading, lead=lead, notes=told, notes_left=left)
    tables = (resets_table(section, caps), sums_table(section))
    return Chapter(
        heading=heading,
        lead=(parts_table(section, caps),),
        notes=told,
        notes_left=left,
        tables=tuple(table for table in tables if table is not None),
    )


def _repair(report: AuditReport, repair: RepairSection, caps: Caps) -> Iterator[Chapter]:
    """What came of it, what was tried, and what was made."""
    confirmed = (demands_table(repair), confirmed_table(repair))
    yield Chapter(
        heading="What came of it",
        about=f"searched on {counted(repair.n_search, 'example')}, confirmed on {repair.n_confirm:,} others",
        tables=tuple(table for table in confirmed if table is not None),
    )
    shown = shown_remedies(repair, caps.remedies)
    chart = repair_chart(repair, report.inputs.data[0].data, shown)
    table = tried_table(repair, shown)
    if chart is not None and table is not None:
        yield Chapter(heading="What was tried", charts=(chart,), tables=(table,))
    made = (strengths_table(repair), result_table(repair))
    yield Chapter(heading="What was made", tables=tuple(table for table in made if table is not None))
