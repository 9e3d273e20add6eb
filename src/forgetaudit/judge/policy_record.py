"""The policy as the report keeps it, so that a saved report can be judged again as it was."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from forgetaudit.policy import FailWhen, Level, OnInconclusive, Policy, Rule, RuleKind, Waiver

__all__ = ["policy_of", "record"]


def record(policy: Policy) -> dict[str, Any]:
    """Plain data: how sure a verdict had to be, every rule and every waiver."""
    return {
        "confidence": policy.confidence,
        "min_samples": policy.min_samples,
        "fail_when": policy.fail_when.value,
        "on_inconclusive": policy.on_inconclusive.value,
        "family_wise": policy.family_wise,
        "source": policy.source,
        "rules": [_rule(rule) for rule in policy.rules],
        "waivers": [_waiver(waiver) for waiver in policy.waivers],
    }


def policy_of(settings: Mapping[str, Any]) -> Policy | None:
    """The policy that `record` kept; None where a report has none, or not whole."""
    try:
        return Policy(
            rules=tuple(_rule_of(rule) for rule in settings["rules"]),
            waivers=tuple(_waiver_of(waiver) for waiver in settings["waivers"]),
            confidence=float(settings["confidence"]),
            min_samples=int(settings["min_samples"]),
            fail_when=FailWhen(settings["fail_when"]),
            on_inconclusive=OnInconclusive(settings["on_inconclusive"]),
            family_wise=_yes_or_no(settings.get("family_wise", False)),
            source=str(settings["source"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _rule(rule: Rule) -> dict[str, Any]:
    written = {
        "rule": rule.name,
        "limit": rule.limit,
        "relative": rule.relative or None,
        "data": rule.data,
        "tensors": list(rule.patterns) or None,
        "level": rule.level.value,
        "min_samples": rule.min_samples,
        "fail_when": rule.fail_when.value if rule.fail_when else None,
    }
    return {key: value for key, value in written.items() if value is not None}


def _rule_of(written: Mapping[str, Any]) -> Rule:
    kind, _, where = str(written["rule"]).partition("/")
    limit, fewest, fail_when = written.get("limit"), written.get("min_samples"), written.get("fail_when")
    return Rule(
        kind=RuleKind(kind),
        limit=None if limit is None else float(limit),
        relative=bool(written.get("relative", False)),
        where=where or None,
        data=written.get("data"),
        patterns=tuple(str(name) for name in written.get("tensors", ())),
        level=Level(written["level"]),
        min_samples=None if fewest is None else int(fewest),
        fail_when=None if fail_when is None else FailWhen(fail_when),
    )


def _waiver(waiver: Waiver) -> dict[str, Any]:
    written = {
        "rule": waiver.rule,
        "limit": waiver.limit,
        "relative": waiver.relative or None,
        "data": waiver.data,
        "reason": waiver.reason,
        "expires": waiver.expires.isoformat(),
    }
    return {key: value for key, value in written.items() if value is not None}


def _waiver_of(written: Mapping[str, Any]) -> Waiver:
    return Waiver(
        rule=str(written["rule"]),
        limit=float(written["limit"]),
        relative=bool(written.get("relative", False)),
        data=written.get("data"),
        reason=str(written["reason"]),
        expires=date.fromisoformat(written["expires"]),
    )
