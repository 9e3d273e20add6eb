"""The chosen remedy on the half that it was not chosen on, and what was asked of it."""

from collections.abc import Iterator, Sequence

from forgetaudit.audits.behaviour import Behaviour
from forgetaudit.audits.repair.candidates import Candidates, Requirements
from forgetaudit.inference.paired import tango
from forgetaudit.report.behaviour import RivalSection, SourceSection
from forgetaudit.report.parts import Absent, Estimate, Measured
from forgetaudit.report.repair import RepairConfirmation, RepairDemand
from forgetaudit.report.verdict import Finding
from forgetaudit.wording import points

__all__ = ["confirmation", "demands", "not_chosen", "unanswered"]

TUNED, REPAIRED = "tuned", "repaired"
NO_TARGET = "no target data were passed (--target)"


def confirmation(behaviours: list[Behaviour], target: str | None, *, from_files: bool) -> RepairConfirmation:
    """The numbers of the confirming half: source data first, target data after them."""
    tuned, repaired = (_section_of(behaviours[0], name) for name in (TUNED, REPAIRED))
    absent = Absent(not_measured=NO_TARGET)
    there = behaviours[1] if target is not None else None
    return RepairConfirmation(
        data=repaired.data,
        n=repaired.n,
        unit=repaired.unit,
        base=repaired.accuracy.base,
        tuned=tuned.accuracy.tuned,
        repaired=repaired.accuracy.tuned,
        gain=_negative(_pair(behaviours[0]).advantage_of_first),
        won_back=_won_back(tuned, repaired),
        target=target or absent,
        n_target=0 if there is None else _pair(there).n,
        target_tuned=absent if there is None else _section_of(there, TUNED).accuracy.tuned,
        target_repaired=absent if there is None else _section_of(there, REPAIRED).accuracy.tuned,
        target_loss=absent if there is None else _pair(there).advantage_of_first,
        from_files=from_files,
    )


def demands(
    behaviours: list[Behaviour], asked: Requirements, target: str | None, *, outcome: str
) -> tuple[RepairDemand, ...]:
    """Each thing that was asked, with what the confirming half says of it. `outcome` is that of the rules."""
    return tuple(_demands(behaviours, asked, target, outcome))


def unanswered(gaps: Sequence[Finding]) -> tuple[RepairDemand, ...]:
    """What the numbers do not speak of: a repair chosen by them is none of what was passed."""
    return tuple(
        RepairDemand(demand="measure all that was passed", met=False, reason=gap.title)
        for gap in gaps
        if gap.holds in ("behaviour", "everything")
    )


def not_chosen(candidates: Candidates, lost: Measured) -> tuple[RepairDemand, ...]:
    """Why there is no remedy to confirm."""
    if isinstance(lost, Estimate) and lost.estimate <= 0:
        return (
            RepairDemand(
                demand="something was lost", met=False, reason="tuned lost nothing on these examples"
            ),
        )
    asked = candidates.asked
    share = "" if asked.win_back is None else f" at least {100 * asked.win_back:g} % of the lost points"
    keeps = (
        f", losing at most {points(asked.keep_target)} pt of the target"
        if candidates.target is not None
        else ""
    )
    return (
        RepairDemand(
            demand=f"win back{share or ' some of the lost points'}{keeps}",
            met=False,
            reason=f"none of {len(candidates.tried)} remedies does on the half that is searched"
            if candidates.tried
            else "every remedy asked for would make base itself, or leave tuned as it is",
        ),
    )


def _demands(
    behaviours: list[Behaviour], asked: Requirements, target: str | None, outcome: str
) -> Iterator[RepairDemand]:
    source = _pair(behaviours[0])
    _, most, sure = _loss(behaviours[0], asked.confidence)
    yield RepairDemand(
        demand="win something back, surely",
        met=most < 0,
        reason=f"at least {points(-most)} pt on {source.data} ({sure})"
        if most < 0
        else f"the gain on {source.data} may be none ({sure})",
    )
    if asked.win_back is not None:
        share = _won_back(_section_of(behaviours[0], TUNED), _section_of(behaviours[0], REPAIRED))
        won = not isinstance(share, Absent) and share >= asked.win_back
        told = "nothing was lost there" if isinstance(share, Absent) else f"{100 * share:.0f} % were"
        yield RepairDemand(
            demand=f"win back at least {100 * asked.win_back:g} % of the lost points", met=won, reason=told
        )
    if target is not None:
        _, most, sure = _loss(behaviours[1], asked.confidence)
        yield RepairDemand(
            demand=f"lose at most {points(asked.keep_target)} pt of the target, surely",
            met=most <= asked.keep_target,
            reason=f"at most {points(max(most, 0.0))} pt on {target} ({sure})",
        )
    if outcome in ("fail", "refused"):
        yield RepairDemand(
            demand="keep every limit", met=False, reason="a rule is broken, or cannot be judged"
        )


def _loss(behaviour: Behaviour, confidence: float) -> tuple[float, float, str]:
    """From tuned to repaired: the limits, and how sure they are. Over groups they are two-sided, which is stricter."""
    pair = _pair(behaviour)
    shown = pair.advantage_of_first
    if (
        isinstance(shown, Estimate)
        and shown.method != "tango"
        and shown.low is not None
        and shown.high is not None
    ):
        return shown.low, shown.high, f"two-sided {100 * (shown.confidence or 0):g} %"
    found = tango(pair.only_first_right, pair.only_second_right, pair.n, confidence=confidence, sides=1)
    return found.low, found.high, f"one-sided {100 * confidence:g} %"


def _section_of(behaviour: Behaviour, name: str) -> SourceSection:
    return next(section for section in behaviour.source if section.variant == name)


def _pair(behaviour: Behaviour) -> RivalSection:
    return next(pair for pair in behaviour.rivals if (pair.first, pair.second) == (TUNED, REPAIRED))


def _won_back(tuned: SourceSection, repaired: SourceSection) -> float | Absent:
    lost = tuned.accuracy.base - tuned.accuracy.tuned
    if lost <= 0:
        return Absent(not_measured="tuned lost nothing on this half")
    return (repaired.accuracy.tuned - tuned.accuracy.tuned) / lost


def _negative(value: Measured) -> Measured:
    """What the second has over the first."""
    if isinstance(value, Absent):
        return value
    return value.model_copy(
        update={
            "estimate": -value.estimate,
            "low": None if value.high is None else -value.high,
            "high": None if value.low is None else -value.low,
        }
    )
