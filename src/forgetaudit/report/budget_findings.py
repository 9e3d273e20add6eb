"""Findings on the drift budget: weights that a training log cannot have made."""

from collections.abc import Callable, Iterator

from forgetaudit.report.budget import BudgetSection
from forgetaudit.report.facts import Facts, finding
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


def over_budget(facts: Facts, budget: BudgetSection) -> Iterator[Finding]:
    if not budget.refuted:
        return
    steps = counted(budget.n_steps, "step")
    refuted = some(sorted(budget.refuted, key=lambda tensor: tensor != budget.most), shown=1)
    how_far = f"{refuted} moved {share_words(budget.used)} what {budget.optimizer} can in {steps}"
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
            f"the weights are not explained by the assumed settings: {how_far}",
            "check that BASE is what training began from, and say what you know of the run: --log, --optimizer, --lr,"
            " --betas",
            severity="medium",
            evidence=evidence,
        )
        return
    sure = budget.written_declared or budget.written == "float32"
    yield finding(
        facts,
        "log-refuted",
        f"these weights cannot come from that training log: {how_far}",
        "check BASE, the log and its optimizer: one of them is not of this run",
        severity="high",
        confidence="certain" if sure else "high",
        evidence=evidence,
    )


BUDGET_DETECTORS: tuple[Callable[[Facts, BudgetSection], Iterator[Finding]], ...] = (over_budget,)
