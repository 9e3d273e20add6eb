"""Waivers: a wider limit for a rule, or for one class, group or layer of it, until a day.

A rule that is kept without its waiver passes as ever. Else it is judged at the wider limit as at any other: kept
there it is `waived`, beyond it it fails, and what the examples cannot tell stays inconclusive.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from forgetaudit.policy import Rule, RuleKind, Waiver
from forgetaudit.report.verdict import RuleResult, WaiverState

__all__ = ["Judge", "Waived", "judge_waived", "states_of"]

State = Literal["used", "not-needed", "expired", "nothing-to-waive"]

# Judges a rule, leaving out the classes, groups or layers that are judged alone.
Judge = Callable[[Rule, frozenset[str]], RuleResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waived:
    """A rule's result, and the waiver that had a say in it, with what became of it."""

    result: RuleResult
    waiver: Waiver | None = None
    state: State | None = None


def judge_waived(
    rule: Rule,
    waivers: Sequence[Waiver],
    judge: Judge,
    *,
    data: str | None,
    parts: frozenset[str],
    today: date,
) -> Iterator[Waived]:
    """The rule as a whole, and each waived part of it alone. `parts` are those that were measured."""
    mine = [waiver for waiver in waivers if waiver.data in (None, data)]
    whole = next((waiver for waiver in mine if waiver.rule == rule.name), None)
    parted = [(part, waiver) for waiver in mine if (part := _part_of(waiver, rule)) in parts]
    alone = {part: waiver for part, waiver in parted if part is not None and not waiver.has_expired(today)}
    ended = [waiver for _, waiver in parted if waiver.has_expired(today)]
    if not alone or parts - alone.keys():
        yield _judged(rule, whole, lambda asked: _ended(judge(asked, frozenset(alone)), ended), today)
    for part, waiver in alone.items():
        yield _judged(replace(rule, where=part), waiver, lambda asked: judge(asked, frozenset()), today)


def _part_of(waiver: Waiver, rule: Rule) -> str | None:
    """Which class, group or layer of a rule on all of them the waiver is for."""
    if rule.where is not None or rule.kind is RuleKind.DISTANCE or not rule.kind.has_parts:
        return None
    kind, slash, part = waiver.rule.partition("/")
    return part if slash and kind == rule.kind.value else None


def _ended(result: RuleResult, waivers: Sequence[Waiver]) -> RuleResult:
    """A part whose waiver has ended is judged with the others, and it is said."""
    if result.outcome == "pass" or not waivers:
        return result
    return _with_reason(
        result, "; ".join(f"the waiver of {one.rule} ended on {one.expires}" for one in waivers)
    )


def _judged(rule: Rule, waiver: Waiver | None, judge: Callable[[Rule], RuleResult], today: date) -> Waived:
    own = judge(rule)
    if waiver is None:
        return Waived(result=own)
    if waiver.has_expired(today):
        ended = own if own.outcome == "pass" else _with_reason(own, f"its waiver ended on {waiver.expires}")
        return Waived(result=ended, waiver=waiver, state="expired")
    if own.outcome in ("pass", "refused") or own.value is None:
        return Waived(result=own, waiver=waiver, state="not-needed")
    wide = judge(replace(rule, limit=waiver.limit, relative=waiver.relative))
    said = f"waived until {waiver.expires}: {waiver.reason}"
    if wide.outcome in ("fail", "warned"):
        said = f"over the waived limit, too ({said})"
    told = _with_reason(wide, said)
    outcome = "waived" if wide.outcome == "pass" else wide.outcome
    return Waived(
        result=told.model_copy(update={"outcome": outcome, "waived_from": own.limit}),
        waiver=waiver,
        state="used",
    )


def _with_reason(result: RuleResult, more: str) -> RuleResult:
    return result.model_copy(update={"reason": f"{result.reason}; {more}"})


def states_of(waivers: Sequence[Waiver], judged: Sequence[Waived], today: date) -> tuple[WaiverState, ...]:
    """What became of every waiver of the policy, over all variants and data."""
    order: tuple[State, ...] = ("used", "expired", "not-needed")
    states = []
    for waiver in waivers:
        seen = {one.state for one in judged if one.waiver == waiver}
        found: State = "expired" if waiver.has_expired(today) else "nothing-to-waive"
        states.append(
            WaiverState(
                rule=waiver.rule,
                data=waiver.data,
                state=next((state for state in order if state in seen), found),
                reason=waiver.reason,
                expires=waiver.expires,
            )
        )
    return tuple(states)
