"""Findings on the drift budget: weights that a training log cannot have made."""

from collections.abc import Callable, Iterator

from forgetaudit.judge.finding_context import FindingContext, finding
from forgetaudit.report.budget import BudgetSection
from forgetaudit.report.verdict import Finding
from forgetaudit.wording import counted, some

__all__ = ["BUDGET_DETECTORS", "share_words"]


def share_words(share: float) -> str:
    """A share of the budget: `71 %`, `5.1 times`; never 100 % for what is not."""
    if share > 1:
        return f"{max(share, 1.01):.2f} times" if share < 100 else f"{share:.3g} times"
    if share in (0, 1):
        return f"{100 * share:g} %"
    percent = 100 * share
    return (
        "<0.1 %"
        if percent < 0.05
        else f"{min(percent, 99.9):.{1 if percent < 9.95 or percent > 99 else 0}f} %"
    )


def over_budget(facts: FindingContext, budget: BudgetSection) -> Iterator[Finding]:
    if not budget.refuted:
        return
    evidence = {
        "used": budget.used,
        "tensors": len(budget.refuted),
        "sources": list(budget.sources),
        "assumed": list(budget.assumed),
        "written": budget.written,
    }
    if budget.assumed:
        yield finding(
            facts,
            "not-explained-by-settings",
            f"the weights are not explained by the assumed settings: {_how_far(budget)}",
            "the budget lines list what no file proves: say what you know of the run (--log, --optimizer, --lr,"
            " --betas), and check that BASE is what training began from",
            severity="medium",
            evidence=evidence,
        )
        return
    yield finding(
        facts,
        "log-refuted",
        f"these weights cannot come from that training log, begun at BASE: {_how_far(budget)}",
        "check BASE, the log and its optimizer: one of them is not of this run, or the weights were edited after it",
        severity="high",
        confidence="certain",
        evidence=evidence,
    )


def _how_far(budget: BudgetSection) -> str:
    """Of the tensor that went furthest among those that went too far."""
    shares = {row.tensor: row.used for row in budget.tensors if row.refuted}
    known = {name: share for name, share in shares.items() if isinstance(share, float)}
    furthest = max(known, key=lambda name: known[name], default=None)
    if furthest is None:
        return f"{some(sorted(shares), shown=1)} moved, at a learning rate of 0 in every step"
    first = some(sorted(shares, key=lambda name: name != furthest), shown=1)
    steps = counted(budget.n_steps, "step")
    return f"{first} moved {share_words(known[furthest])} what {budget.optimizer} can in {steps}"


BUDGET_DETECTORS: tuple[Callable[[FindingContext, BudgetSection], Iterator[Finding]], ...] = (over_budget,)
