"""Where a loss sits, as tables: the parts with their shares, layers reset from each end, and what does not add up."""

from collections.abc import Iterator, Sequence

from forgetaudit.renderers import numbers
from forgetaudit.renderers.document import Bar, Caps, Cell, Column, Table
from forgetaudit.renderers.drop_words import drop_points, gain_points, number, span_to
from forgetaudit.renderers.lines import evenly
from forgetaudit.renderers.locate_words import share_of
from forgetaudit.renderers.spans import common_axis, on_axis
from forgetaudit.renderers.tables import left_out
from forgetaudit.report.locate import Effect, LocateSection, PlayerRow, ResetRow
from forgetaudit.report.parts import Absent, Measured
from forgetaudit.wording import some

__all__ = ["parts_table", "resets_table", "sums_table"]


def parts_table(section: LocateSection, caps: Caps) -> Table:
    """The parts in the order of the network; of many, those with the largest shares. All intervals on one axis."""
    shown = _largest(section.players, caps.parts)
    axis = common_axis([share_of(row) for row in shown])
    by_rollback = all(isinstance(row.shapley, Absent) for row in shown)
    return Table(
        ident="parts",
        title="Parts of the network",
        columns=(
            Column(title="part"),
            Column(title="won back, pt" if by_rollback else "share, pt", numeric=True),
            Column(title="two-sided", numeric=True),
            Column(title=axis.title, drawn=True),
            *(() if by_rollback else (Column(title="rolled back, pt", numeric=True),)),
            Column(title="kept alone, pt", numeric=True),
            Column(title="‖Δ‖/‖θ₀‖", numeric=True),
            Column(title="tensors", numeric=True),
        ),
        rows=tuple(
            (
                Cell(text=row.name, named=row.kind not in ("buffers", "rest")),
                *_share_cells(row),
                on_axis(share_of(row), axis, tone="bad" if row.blamed else ""),
                *(() if by_rollback else (_effect(row.rolled_back),)),
                _effect(row.kept_alone, loss=True),
                Cell(text=number(row.relative)),
                Cell(text=numbers.count(row.n_tensors)),
            )
            for row in shown
        ),
        note=" ".join(filter(None, _notes(section, len(shown), by_rollback=by_rollback))),
    )


def _largest(players: Sequence[PlayerRow], most: int) -> list[PlayerRow]:
    """In their own order."""

    def size(row: PlayerRow) -> float:
        share = share_of(row)
        return 0.0 if isinstance(share, Absent) else abs(share.estimate)

    kept = {row.name for row in sorted(players, key=size, reverse=True)[:most]}
    return [row for row in players if row.name in kept]


def _share_cells(row: PlayerRow) -> tuple[Cell, Cell]:
    share = share_of(row)
    if isinstance(share, Absent):
        return Cell(text="·", tone="dim"), Cell()
    return Cell(text=drop_points(share.estimate), tone="bad" if row.blamed else ""), Cell(text=span_to(share))


def _effect(effect: Effect, *, loss: bool = False) -> Cell:
    """The change in accuracy with its sign; of a part kept alone it is a loss from base."""
    if isinstance(effect.change, Absent):
        return Cell(text="·", tone="dim")
    gain = -effect.change.estimate if loss else effect.change.estimate
    return Cell(text=f"{gain_points(gain)}{' !' if effect.sure else ''}")


def _notes(section: LocateSection, n_shown: int, *, by_rollback: bool) -> Iterator[str]:
    n = len(section.players)
    looks = f", allowing for {n} looks at once" if n > 1 else ""
    if by_rollback:
        reason = section.players[0].shapley if section.players else None
        why = f": {reason.not_measured}" if isinstance(reason, Absent) else ""
        yield f"Won back: accuracy of tuned with base's tensors here, against tuned. No shares{why}."
    else:
        yield f"Share of the drop: Shapley value over {section.orders}; parts rolled back change tuned."
    yield f"Parts kept alone change base. Intervals two-sided, 95 %; ! surely a change{looks}; statistical."
    yield left_out(n - n_shown, "part", "with smaller shares")
    if section.unmoved:
        yield f"Unmoved, every parameter bit-identical: {some(section.unmoved, 12)}."


def resets_table(section: LocateSection, caps: Caps) -> Table | None:
    """From each end, how much is won back the more layers are reset; None where none was."""
    if not section.resets:
        return None
    ends = [[row for row in section.resets if row.end == end] for end in ("bottom", "top")]
    shown = [row for rows in ends for row in evenly(rows, max(caps.parts // 2, 2))]
    return Table(
        ident="resets",
        title="Layers reset from each end",
        columns=(
            Column(title="reset to base"),
            Column(title="as far as"),
            Column(title="accuracy", numeric=True),
            Column(title="won back, pt", numeric=True),
            Column(title="two-sided", numeric=True),
            Column(title="of the drop, 0 to 1", drawn=True),
        ),
        rows=tuple(_reset_row(row, section.base - section.tuned) for row in shown),
        note=" ".join(
            filter(
                None,
                (
                    "Statistical: gains over tuned; running statistics are reset with their layers.",
                    left_out(len(section.resets) - len(shown), "reset"),
                ),
            )
        ),
    )


def _reset_row(row: ResetRow, drop: float) -> tuple[Cell, ...]:
    n, which = len(row.layers), "first" if row.end == "bottom" else "last"
    reached = row.layers[-1] if row.end == "bottom" else row.layers[0]
    return (
        Cell(text=f"{which} layer" if n == 1 else f"{which} {n} layers"),
        Cell(text=reached, named=True),
        Cell(text=numbers.percent(row.accuracy)),
        Cell(text=_gained(row.gain)),
        Cell(text=span_to(row.gain, gained=True)),
        _won_bar(row.gain, drop),
    )


def _won_bar(gain: Measured, drop: float) -> Cell:
    if isinstance(gain, Absent) or drop <= 0:
        return Cell()
    return Cell(mark=Bar(value=gain.estimate / drop))


def _gained(gain: Measured) -> str:
    return "·" if isinstance(gain, Absent) else gain_points(gain.estimate)


def sums_table(section: LocateSection) -> Table | None:
    """What the parts add up to one by one, beside the drop that they should; None where nothing was added up."""
    sums = section.sums
    if isinstance(sums, Absent):
        return None
    told = (
        ("the drop itself", sums.drop),
        ("shares", sums.shapley),
        ("won back by parts rolled back one by one", sums.rolled_back),
        ("lost by parts kept alone one by one", sums.kept_alone),
    )
    return Table(
        ident="sums",
        title="Do the parts add up?",
        columns=(Column(title="sum"), Column(title="points", numeric=True)),
        rows=tuple(
            (Cell(text=name), Cell(text=drop_points(value)))
            for name, value in told
            if not isinstance(value, Absent)
        ),
        note=f"Blame is not additive: only shares must add up to the drop. {section.n_variants:,} variants of the "
        "network were run, all on the same questions.",
    )
