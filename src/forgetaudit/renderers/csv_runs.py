"""The numbers of a run, of a search for the loss, and of a repair, a row each."""

from collections.abc import Iterator
from dataclasses import replace

from forgetaudit.renderers.csv_cells import Row, measured, plain
from forgetaudit.report.locate import Effect, LocateSection, PreviewSection
from forgetaudit.report.parts import Absent
from forgetaudit.report.repair import RepairCandidate, RepairConfirmation, RepairSection
from forgetaudit.report.trace import ContinualMeasures, Forecast, TraceAnswers, TracePoint, TraceSection

__all__ = ["locate_rows", "repair_rows", "trace_rows"]


def trace_rows(trace: TraceSection) -> Iterator[Row]:
    """Every checkpoint, the power laws, and the measures of continual learning."""
    for point in trace.points:
        yield from _point(point)
        for answer in point.answers:
            yield from _answer(answer, point.variant)
    for summary, forecast in zip(trace.summaries, trace.forecasts, strict=True):
        yield from _forecast(forecast, summary.data)
    if isinstance(trace.continual, ContinualMeasures):
        for name in ("backward_transfer", "average_forgetting", "avalanche", "mammoth"):
            value = getattr(trace.continual, name)
            yield Row(section="trace.continual", name=name, value=value, kind="statistical")


def _point(point: TracePoint) -> Iterator[Row]:
    here = Row(section="trace.points", variant=point.variant, name="step", kind="exact")
    yield here if point.step is None else replace(here, value=point.step)
    yield measured(replace(here, name="lowest_cka"), point.lowest_cka)
    for name in ("distance", "relative", "moved", "net_over_path"):
        yield plain(replace(here, name=name), getattr(point, name), "exact")
    yield plain(replace(here, name="budget_used"), point.budget_used, "bound")


def _answer(answer: TraceAnswers, variant: str) -> Iterator[Row]:
    here = Row(section="trace.points.answers", data=answer.data, variant=variant, name="", n=answer.n)
    for name in ("base", "accuracy"):
        yield replace(here, name=name, value=getattr(answer, name), kind="statistical")
    yield measured(replace(here, name="drop"), answer.drop)
    yield measured(replace(here, name="below_best"), answer.below_best)
    yield plain(replace(here, name="nll"), answer.nll, "statistical")
    for name in ("forgotten", "gained", "kept", "missed"):
        flips = replace(here, section="trace.points.answers.flips", name=name)
        yield replace(flips, value=getattr(answer.flips, name), kind="exact")


def _forecast(forecast: Forecast | Absent, data: str) -> Iterator[Row]:
    here = Row(section="trace.forecasts", data=data, name="drop", kind="diagnostic")
    if isinstance(forecast, Absent):
        yield measured(here, forecast)
        return
    yield measured(here, forecast.drop)
    yield measured(replace(here, name="exponent"), forecast.exponent)
    for name in ("scale", "at", "misfit"):
        yield replace(here, name=name, value=getattr(forecast, name))


def locate_rows(section: LocateSection, variant: str) -> Iterator[Row]:
    """Every part, every reset, and the sums."""
    here = Row(section="locate", data=section.data, variant=variant, name="", n=section.n)
    for name in ("base", "tuned"):
        yield replace(here, name=name, value=getattr(section, name), kind="statistical")
    yield measured(replace(here, name="drop"), section.drop)
    for row in section.players:
        part = replace(here, name=row.name)
        yield measured(replace(part, section="locate.players.shapley"), row.shapley)
        yield measured(replace(part, section="locate.players.shapley_nll"), row.shapley_nll)
        yield from _effect(part, "rolled_back", row.rolled_back)
        yield from _effect(part, "kept_alone", row.kept_alone)
        yield plain(replace(part, section="locate.players.relative", n=None), row.relative, "exact")
    for reset in section.resets:
        end = replace(here, name=f"{reset.end} {len(reset.layers)}")
        yield replace(end, section="locate.resets.accuracy", value=reset.accuracy, kind="statistical")
        yield measured(replace(end, section="locate.resets.gain"), reset.gain)
    for name in () if isinstance(section.sums, Absent) else ("drop", "rolled_back", "kept_alone", "shapley"):
        yield plain(
            replace(here, section="locate.sums", name=name), getattr(section.sums, name), "statistical"
        )
    if section.preview is not None:
        yield from _preview(section.preview, replace(here, section="locate.preview"))


def _preview(preview: PreviewSection, here: Row) -> Iterator[Row]:
    """The rise, what the shares miss of it, and the shares, in nats."""
    yield measured(replace(here, name="rise"), preview.rise)
    for name in ("total", "gap"):
        yield plain(replace(here, name=name), getattr(preview, name), "diagnostic")
    for row in preview.rows:
        part = replace(here, section="locate.preview.rows.share", name=row.name)
        low, high = (
            (None, None) if isinstance(row.interval, Absent) else (row.interval.low, row.interval.high)
        )
        yield replace(plain(part, row.share, "diagnostic"), low=low, high=high)
        yield plain(replace(part, section="locate.preview.rows.fraction"), row.fraction, "diagnostic")
        yield plain(replace(part, section="locate.preview.rows.relative", n=None), row.relative, "exact")


def _effect(part: Row, which: str, effect: Effect) -> Iterator[Row]:
    here = replace(part, section=f"locate.players.{which}.accuracy")
    yield replace(here, value=effect.accuracy, kind="statistical")
    yield measured(replace(here, section=f"locate.players.{which}.change"), effect.change)
    yield measured(replace(here, section=f"locate.players.{which}.nll"), effect.nll)


def repair_rows(repair: RepairSection, data: str) -> Iterator[Row]:
    """Every remedy on the half that is searched, the chosen one on the other, and its strengths."""
    here = Row(section="repair", data=data, variant="tuned", name="lost", n=repair.n_search)
    yield measured(here, repair.lost)
    for one in repair.candidates:
        yield from _candidate(one, replace(here, variant="", name=one.name), repair.target)
    if isinstance(repair.confirmed, RepairConfirmation):
        yield from _confirmed(repair.confirmed)
    for part, (low, high) in repair.strengths.items():
        yield Row(section="repair.strengths.low", name=part, value=low, kind="exact")
        yield Row(section="repair.strengths.high", name=part, value=high, kind="exact")


def _candidate(one: RepairCandidate, here: Row, target: str | Absent) -> Iterator[Row]:
    yield replace(here, section="repair.candidates.change", value=one.change, n=None, kind="exact")
    yield replace(here, section="repair.candidates.accuracy", value=one.accuracy, kind="statistical")
    yield plain(replace(here, section="repair.candidates.won_back"), one.won_back, "statistical")
    on_target = replace(here, data="" if isinstance(target, Absent) else target, n=None)
    yield plain(replace(on_target, section="repair.candidates.target"), one.target, "statistical")
    yield measured(replace(on_target, section="repair.candidates.target_loss"), one.target_loss)


def _confirmed(found: RepairConfirmation) -> Iterator[Row]:
    here = Row(section="repair.confirmed", data=found.data, variant="repaired", name="", n=found.n)
    for name in ("base", "tuned", "repaired"):
        yield replace(here, name=name, value=getattr(found, name), kind="statistical")
    yield measured(replace(here, name="gain"), found.gain)
    yield plain(replace(here, name="won_back"), found.won_back, "statistical")
    data = "" if isinstance(found.target, Absent) else found.target
    on_target = replace(here, data=data, n=found.n_target)
    yield plain(replace(on_target, name="target_tuned"), found.target_tuned, "statistical")
    yield plain(replace(on_target, name="target_repaired"), found.target_repaired, "statistical")
    yield measured(replace(on_target, name="target_loss"), found.target_loss)
