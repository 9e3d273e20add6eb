"""--stop-early: whether the examples so far have decided every rule on the accuracy drop."""

from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.paired_sums import EvaluationSums
from forgetaudit.errors import UsageError
from forgetaudit.inference.sequential import sequential_limits
from forgetaudit.policy import Policy, Rule, RuleKind
from forgetaudit.stats.flips import FlipCounts

__all__ = ["decided", "refuse_stopping"]


def refuse_stopping(data: OpenedData, policy: Policy) -> None:
    """UsageError where nothing could be decided early, or where examples are not independent questions."""
    if not _rules(policy):
        raise UsageError(
            "--stop-early needs a limit on the accuracy drop, and there is none", hint="pass --max-drop 2pt"
        )
    if hasattr(data.task, "keep") or data.examples.grouped or getattr(data.task, "unit", "") == "token":
        raise UsageError(
            f"--stop-early is for independent questions, which those of {data.plan.name} are not",
            details=[f"task {data.task_name}"],
            hint="pass --limit N for a smaller random sample instead",
        )


def decided(ledger: EvaluationSums, policy: Policy) -> bool:
    """Whether every rule on the drop is kept or broken for sure, for every variant, whatever is still to come.

    Only a drop that is surely over the limit stops a run as failed: "more likely than not" is no statement that
    holds at every look.
    """
    return bool(ledger.tallies) and all(
        _decided(tally.flips.read(), rule, policy)
        for tally in ledger.tallies.values()
        for rule in _rules(policy)
    )


def _decided(flips: FlipCounts, rule: Rule, policy: Policy) -> bool:
    limit = (rule.limit or 0.0) * (flips.n_right_base / flips.n if rule.relative else 1.0)
    found = sequential_limits(flips.forgotten, flips.gained, flips.n, confidence=policy.confidence, sides=1)
    enough = flips.n >= (rule.min_samples or policy.min_samples)
    return found.low > limit or (found.high < limit and enough)


def _rules(policy: Policy) -> list[Rule]:
    return [rule for rule in policy.rules if rule.kind is RuleKind.ACCURACY]
