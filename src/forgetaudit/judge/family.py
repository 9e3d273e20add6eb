"""All rules that are judged from examples as one family: how often an unchanged run breaks one, and Holm's correction.

Each rule alone breaks by chance in at most 1 − confidence of the runs in which nothing was lost; twelve of them do in
up to 46 %. Only broken rules are corrected: a gate passes where every rule does, so more rules make no pass easier.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from forgetaudit.judge.rules.waiving import Waived
from forgetaudit.policy import Policy
from forgetaudit.report.verdict import Family, RuleResult

__all__ = ["family_of", "judge_family"]


def judge_family(policy: Policy, judge_all: Callable[[Policy], Sequence[Waived]]) -> Sequence[Waived]:
    """Every rule as `judge_all` judges it; with `family_wise`, a rule is broken only where Holm leaves it so.

    `judge_all` must give the same rules in the same order at every confidence.
    """
    alone = judge_all(policy)
    n, broken = _n_judged(alone), {at for at, one in enumerate(alone) if _is_broken(one)}
    if not policy.family_wise or n < 2 or not broken:
        return alone
    strict, standing = _step_down(policy, judge_all, n, broken)
    return [
        _holm_result(one, strict[at], n) if at in broken - standing else one for at, one in enumerate(alone)
    ]


def family_of(policy: Policy, judged: Sequence[Waived]) -> Family | None:
    """What the whole gate errs by; None where fewer than two rules were judged from examples."""
    n = _n_judged(judged)
    if n < 2:
        return None
    return Family(
        n_judged=n,
        confidence=policy.confidence,
        error_at_most=1 - policy.confidence ** (1 if policy.family_wise else n),
        method="holm" if policy.family_wise else "independent",
    )


def _step_down(
    policy: Policy, judge_all: Callable[[Policy], Sequence[Waived]], n: int, broken: set[int]
) -> tuple[Sequence[Waived], set[int]]:
    """Holm's steps: with k rules surely broken, the others are judged at alpha over n − k, until none is added."""
    standing: set[int] = set()
    while True:
        alpha = (1 - policy.confidence) / (n - len(standing))
        strict = judge_all(replace(policy, confidence=1 - alpha))
        found = {at for at in broken if _is_broken(strict[at])}
        if found <= standing or found == broken:
            return strict, standing | found
        standing |= found


def _holm_result(alone: Waived, strict: Waived, n: int) -> Waived:
    """With its numbers as they are alone, and the examples that it takes to break with the others."""
    why = f"would fail alone; not after Holm's correction for {n} rules"
    update = {
        "outcome": "inconclusive",
        "reason": f"{alone.result.reason}; {why}",
        "further_examples": strict.result.further_examples,
    }
    return replace(alone, result=alone.result.model_copy(update=update))


def _n_judged(judged: Sequence[Waived]) -> int:
    return sum(_is_statistical(one.result) for one in judged)


def _is_statistical(result: RuleResult) -> bool:
    """Whether it was judged on limits: the exact, the known and the compared plainly have none."""
    return result.limits is not None and result.outcome != "refused"


def _is_broken(one: Waived) -> bool:
    return _is_statistical(one.result) and one.result.outcome in ("fail", "warned")
