"""What came of a repair and what was tried, in words that screen, page and card share."""

from forgetaudit.renderers import numbers
from forgetaudit.report.parts import Absent
from forgetaudit.report.repair import RepairCandidate, RepairSection
from forgetaudit.report.report import AuditReport
from forgetaudit.wording import honest

__all__ = ["front_words", "in_order", "repair_headline", "share_words", "shown_remedies", "strength_words"]


def repair_headline(report: AuditReport) -> str:
    """What came of it, in a sentence."""
    repair = report.repair
    if repair is None:
        raise ValueError("the report is of no repair")
    found = repair.confirmed
    if isinstance(found, Absent):
        return f"nothing was written: {repair.demands[0].reason}"
    change = "·" if isinstance(found.gain, Absent) else f"{numbers.signed_points(-found.gain.estimate)} pt"
    share = "" if isinstance(found.won_back, Absent) else f", {share_words(found.won_back)} of what was lost"
    target = ""
    if not isinstance(found.target_loss, Absent):
        target = f"; target {numbers.signed_points(found.target_loss.estimate)} pt"
    if not repair.met:
        return f"nothing was written: {repair.chosen} was not confirmed ({change}{target})"
    done = "wins back" if repair.written else "would win back"
    return f"{repair.chosen} {done} {change.removeprefix('+')}{share}{target}"


def in_order(repair: RepairSection) -> list[RepairCandidate]:
    """What no other beats first, then the rest by what it wins back."""
    return sorted(repair.candidates, key=lambda one: (not one.on_front, -one.accuracy))


def shown_remedies(repair: RepairSection, most: int) -> list[RepairCandidate]:
    """The first of them, with the chosen one in any case."""
    ordered, chosen = in_order(repair), repair.chosen
    shown = list(ordered[:most])
    missing = [one for one in ordered[most:] if one.name == chosen]
    return [*shown[: most - len(missing)], *missing]


def front_words(repair: RepairSection) -> str:
    """What it is to be on the Pareto front."""
    with_target = not isinstance(repair.target, Absent)
    other = "source and target" if with_target else "source accuracy and nearness to tuned"
    return f"no other is better in {other} at once, on the half that is searched"


def share_words(won_back: float | Absent) -> str:
    """A share of the lost points; it can be over 100 %, and under 0."""
    if isinstance(won_back, Absent):
        return "·"
    sign = numbers.MINUS if won_back < 0 else ""
    return f"{sign}{honest(abs(100 * won_back), decimals=0, top=100)} %"


def strength_words(ends: tuple[float, float]) -> str:
    """`0.3`, or `0.3 to 1`."""
    low, high = (f"{end:.3g}" for end in ends)
    return low if low == high else f"{low} to {high}"
