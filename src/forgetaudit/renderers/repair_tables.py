"""A repair as tables: what was asked, what the other half confirmed, everything that was tried, and what was made."""

from collections.abc import Iterator, Sequence

from forgetaudit.renderers import numbers
from forgetaudit.renderers.document import Bar, Cell, Column, Table, Tone
from forgetaudit.renderers.drop_words import gain_points, span_to
from forgetaudit.renderers.repair_words import front_words, share_words, strength_words
from forgetaudit.renderers.tables import left_out, said_table
from forgetaudit.report.parts import Absent, Measured
from forgetaudit.report.repair import RepairCandidate, RepairConfirmation, RepairSection
from forgetaudit.wording import counted

__all__ = [
    "confirmed_table",
    "demands_table",
    "result_table",
    "strengths_table",
    "tried_table",
]


def demands_table(repair: RepairSection) -> Table | None:
    """What was asked, and whether the confirming half bears it out; None where nothing was."""
    if not repair.demands:
        return None
    return Table(
        ident="demands",
        title="What was asked",
        columns=(Column(title="asked"), Column(title="met"), Column(title="because", wide=True)),
        rows=tuple(
            (
                Cell(text=demand.demand),
                Cell(text="yes" if demand.met else "no", tone="good" if demand.met else "bad"),
                Cell(text=demand.reason),
            )
            for demand in repair.demands
        ),
    )


def confirmed_table(repair: RepairSection) -> Table | None:
    """The chosen remedy on the half that it was not chosen on; None where none was chosen."""
    found = repair.confirmed
    if isinstance(found, Absent):
        return None
    files = ", by the bytes of the files" if found.from_files else ", in memory: nothing was written"
    return Table(
        ident="confirmed",
        title="Confirmed on the other half",
        columns=(
            Column(title="data"),
            Column(title="n", numeric=True),
            *(Column(title=title, numeric=True) for title in ("base", "tuned", "repaired", "change, pt")),
            Column(title="two-sided", numeric=True),
            Column(title="won back", numeric=True),
        ),
        rows=tuple(_confirmed_rows(found)),
        note=f"Statistical: change = repaired − tuned, intervals two-sided, 95 %, on {found.unit}s that the remedy "
        f"was not chosen on{files}. Won back: the share of what tuned lost.",
    )


def _confirmed_rows(found: RepairConfirmation) -> Iterator[tuple[Cell, ...]]:
    yield (
        Cell(text=found.data, named=True),
        Cell(text=numbers.count(found.n)),
        *(_percent(one) for one in (found.base, found.tuned, found.repaired)),
        *_change(found.gain, loss=False),
        Cell(text=share_words(found.won_back)),
    )
    if isinstance(found.target, Absent):
        yield (
            Cell(text="the target"),
            *(Cell(),) * 4,
            Cell(text="not measured", tone="warn"),
            Cell(),
            Cell(),
        )
        return
    yield (
        Cell(text=found.target, named=True),
        Cell(text=numbers.count(found.n_target)),
        Cell(text="·", tone="dim"),
        *(_percent(one) for one in (found.target_tuned, found.target_repaired)),
        *_change(found.target_loss, loss=True),
        Cell(),
    )


def _percent(fraction: float | Absent) -> Cell:
    return Cell(text="·" if isinstance(fraction, Absent) else numbers.percent(fraction))


def _change(value: Measured, *, loss: bool) -> tuple[Cell, Cell]:
    """A gain, or a loss told as one: its limits change places."""
    if isinstance(value, Absent):
        return Cell(text="·", tone="dim"), Cell()
    if not loss:
        return Cell(text=gain_points(value.estimate)), Cell(text=span_to(value, gained=True))
    ends = {"low": _negative(value.high), "high": _negative(value.low)}
    turned = value.model_copy(update={"estimate": -value.estimate, **ends})
    return Cell(text=gain_points(turned.estimate)), Cell(text=span_to(turned, gained=True))


def _negative(value: float | None) -> float | None:
    return None if value is None else -value


def tried_table(repair: RepairSection, shown: Sequence[RepairCandidate]) -> Table | None:
    """Every remedy on the half that is searched; None where none was tried."""
    if not shown:
        return None
    with_target = not isinstance(repair.target, Absent)
    target = (Column(title="target", numeric=True), Column(title="change, pt", numeric=True))
    return Table(
        ident="remedies",
        title="Remedies",
        columns=(
            Column(title="remedy"),
            Column(title="source", numeric=True),
            Column(title="won back", numeric=True),
            *((*target, Column(title="two-sided", numeric=True)) if with_target else ()),
            Column(title="taken back", numeric=True),
            Column(title="0 to 1", drawn=True),
            Column(title="front"),
            Column(title="as asked"),
        ),
        rows=tuple(_tried(one, repair, with_target=with_target) for one in shown),
        note=" ".join(filter(None, _tried_notes(repair, len(shown)))),
    )


def _tried(one: RepairCandidate, repair: RepairSection, *, with_target: bool) -> tuple[Cell, ...]:
    of_target = (_percent(one.target), *_change(one.target_loss, loss=True)) if with_target else ()
    asked, tone = _standing(one, repair)
    return (
        Cell(text=one.name, named=True),
        _percent(one.accuracy),
        Cell(text=share_words(one.won_back)),
        *of_target,
        Cell(text=numbers.unit(one.change)),
        Cell(mark=Bar(value=one.change)),
        Cell(text="yes" if one.on_front else ""),
        Cell(text=asked, tone=tone),
    )


def _standing(one: RepairCandidate, repair: RepairSection) -> tuple[str, Tone]:
    if one.name == repair.chosen:
        return "chosen", "good"
    return ("yes", "") if one.allowed else ("no", "dim")


def _tried_notes(repair: RepairSection, n_shown: int) -> Iterator[str]:
    change = (
        ""
        if isinstance(repair.target, Absent)
        else " Change: in target accuracy, from tuned, two-sided 95 %."
    )
    yield (
        f"On {counted(repair.n_search, 'example')}; chosen by these numbers, so that they flatter. Taken back: the "
        f"share of fine-tuning's way, 0 for tuned, 1 for base.{change}"
    )
    yield f"Front: {front_words(repair)} (Pareto). As asked: all that was asked holds on this half."
    yield left_out(len(repair.candidates) - n_shown, "remedy", "after these")


def strengths_table(repair: RepairSection) -> Table | None:
    """How much of what fine-tuning did is kept in each part; None where nothing was chosen."""
    if not repair.strengths:
        return None
    return Table(
        ident="strengths",
        title="What is kept of fine-tuning",
        columns=(
            Column(title="part"),
            Column(title="λ", numeric=True),
            Column(title="λ, 0 to 1", drawn=True),
        ),
        rows=tuple(
            (
                Cell(text=part, named=True),
                Cell(text=strength_words(ends)),
                Cell(mark=Bar(value=ends[0]) if ends[0] == ends[1] else None),
            )
            for part, ends in repair.strengths.items()
        ),
        note="Each tensor is θ₀ + λ(θ₁ − θ₀), of base θ₀ and tuned θ₁. Parts that are not named had not changed.",
    )


def result_table(repair: RepairSection) -> Table:
    """Where it was written, or that nothing was; and the notes."""
    told = [("written", _written(repair))]
    if repair.form is not None:
        told.append(("form", repair.form))
    if not isinstance(repair.digest, Absent):
        told.append(("digest", f"{repair.digest.method} {repair.digest.value}"))
    if isinstance(repair.target, Absent):
        told.append(("target", f"not measured: {repair.target.not_measured}"))
    told.append(("families", ", ".join(repair.families)))
    told += [("note", note) for note in repair.notes]
    return said_table("result", "What was written", told)


def _written(repair: RepairSection) -> str:
    if repair.written is not None:
        return repair.written
    return "nothing: no place was named (-o OUT)" if repair.met else "nothing"
