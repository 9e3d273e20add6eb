"""The screen of `plan`: how many examples a verdict needs, and what those that there are can resolve."""

from collections.abc import Iterator
from dataclasses import dataclass

from forgetaudit.inference.power import examples_to_pass, smallest_margin
from forgetaudit.inference.verdicts import verdict_chances
from forgetaudit.renderers.lines import LABEL, Line
from forgetaudit.renderers.numbers import count
from forgetaudit.wording import honest

__all__ = ["Question", "plan_screen"]

# Churn of a fine-tune that hardly touched anything, of an ordinary one, and of one that changed nearly all.
_CHURNS = (0.0, 0.01, 0.02, 0.05, 0.10, 0.20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: a churn (the share of examples that flip, either way), a limit, or examples that there are.

    `n` may be an effective number, of examples in groups; `told` says how many there are.
    """

    title: str
    churn: float
    limit: float | None
    n: int | None
    told: str
    confidence: float
    power: float


def plan_screen(question: Question) -> Iterator[Line]:
    """The answer first, then what it rests on, then what if."""
    yield [("forgetaudit ", "bold"), ("plan  ", "bold"), (question.title, "")]
    if question.limit is not None:
        needed = _needed(question, question.churn, question.limit)
        yield [
            ("NEEDS", "bold"),
            (
                f"  {count(needed)} examples to pass a limit of {_pt(question.limit)}, where nothing was lost",
                "",
            ),
        ]
    if question.n is not None:
        yield from _resolves(question, question.n)
    yield []
    if question.limit is not None:
        yield from _if_churn_differs(question, question.limit)
        yield from _verdicts(question, question.limit)
    sure = f"one-sided {100 * question.confidence:g} % limits"
    yield [
        (
            f"passing in {100 * question.power:g} % of such audits · {sure}",
            "dim",
        )
    ]
    yield [("churn: the share that flips, either way; min-samples may hold back a pass", "dim")]


def _needed(question: Question, churn: float, limit: float) -> int:
    return examples_to_pass(churn, limit, confidence=question.confidence, power=question.power)


def _resolves(question: Question, n: int) -> Iterator[Line]:
    margin = smallest_margin(question.churn, n, confidence=question.confidence, power=question.power)
    yield [
        ("HAS", "bold"),
        (f"    {question.told}: they can pass a limit of {_pt(margin, up=True)} or more", ""),
    ]
    if question.limit is not None:
        missing = _needed(question, question.churn, question.limit) - n
        if missing > 0:
            yield [("", ""), (f"       about {count(missing)} more would do for {_pt(question.limit)}", "")]


def _if_churn_differs(question: Question, limit: float) -> Iterator[Line]:
    for number, churn in enumerate(sorted({*_CHURNS, question.churn})):
        label = f"{'if churn is' if number == 0 else '':<{LABEL}}"
        mark = "   this one" if churn == question.churn else ""
        yield [
            (label, "label"),
            (f"{_pt(churn):>8}  {count(_needed(question, churn, limit)):>9} examples{mark}", ""),
        ]
    yield []


def _verdicts(question: Question, limit: float) -> Iterator[Line]:
    """How the gate would answer with so many examples, whatever was lost."""
    n = question.n or _needed(question, question.churn, limit)
    yield [
        (f"{'with ' + count(n):<{LABEL}}", "label"),
        ("if lost   passes    fails (likely)  fails (proven)", "dim"),
    ]
    for drop in (0.0, limit / 2, limit, 2 * limit, 4 * limit):
        if drop >= 1:
            continue
        churn = max(question.churn, drop)
        chances = verdict_chances(
            n,
            forgotten=(churn + drop) / 2,
            gained=(churn - drop) / 2,
            limit=limit,
            confidence=question.confidence,
        )
        shares = (chances.passes, chances.fails_likely, chances.fails_proven)
        said = "".join(
            f"{_percent(share):>{width}}" for share, width in zip(shares, (9, 16, 16), strict=True)
        )
        yield [(" " * LABEL, ""), (f"{_pt(drop):>7}{said}", "")]
    yield []


def _pt(fraction: float, *, up: bool = False) -> str:
    """Points with at most two decimals; `up` never says less than it is."""
    value = 100 * fraction
    shown = -(-value * 10 // 1) / 10 if up else value
    return f"{shown:.3g} pt"


def _percent(share: float) -> str:
    # What is summed from tails may miss a whole by a rounding.
    whole = min(max(share, 0.0), 1.0)
    return f"{honest(100 * whole, decimals=1, top=100)} %"
