"""A rule's outcome as a tone, and its amounts in its own unit."""

from forgetaudit.renderers import numbers
from forgetaudit.renderers.blocks import Tone
from forgetaudit.report.verdict import RuleResult

__all__ = ["RULE_TONES", "rule_amount"]

RULE_TONES: dict[str, Tone] = {
    "pass": "good",
    "fail": "bad",
    "refused": "bad",
    "warned": "warn",
    "waived": "warn",
    "inconclusive": "warn",
}
_SEVERITY_TONES: dict[str, Tone] = {"high": "bad", "medium": "warn"}
_IN_POINTS = {"accuracy", "forgotten", "disagreement", "calibration"}


def rule_amount(rule: RuleResult, value: float | None) -> str:
    """A value or a limit in the rule's own unit."""
    if value is None:
        return ""
    kind = rule.rule.partition("/")[0].partition(".")[0]
    if rule.unit is not None:
        return f"{numbers.plain(value)} {rule.unit}"
    if kind in _IN_POINTS:
        return f"{numbers.MINUS if value < 0 else ''}{numbers.points(value)} pt"
    if kind == "frozen":
        return f"{value:g} changed"
    return numbers.unit(value) if kind == "cka" else numbers.plain(value)
