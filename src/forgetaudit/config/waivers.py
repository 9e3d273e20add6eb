"""[[gate.waivers]]: a wider limit for something known, with the reason and the day on which it ends."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from difflib import get_close_matches

from forgetaudit.config.rules import kind_of, limit_of, only_known
from forgetaudit.errors import ConfigError
from forgetaudit.policy import Rule, RuleKind, Waiver, base_rule

__all__ = ["read_waivers"]

_KNOWN = {"rule", "limit", "reason", "expires", "data"}


def read_waivers(
    written: Sequence[Mapping[str, object]], rules: Sequence[Rule], file: str
) -> tuple[Waiver, ...]:
    """Every waiver of the file. ConfigError for one without rule, limit, reason or end, or that widens nothing."""
    found: list[Waiver] = []
    for number, body in enumerate(written, start=1):
        waiver = _waiver(body, rules, f"{file}: gate.waivers, number {number}")
        if any((waiver.rule, waiver.data) == (other.rule, other.data) for other in found):
            raise ConfigError(
                f"{file}: {waiver.rule} is waived twice for the same data", hint="keep one of them"
            )
        found.append(waiver)
    return tuple(found)


def _waiver(body: Mapping[str, object], rules: Sequence[Rule], place: str) -> Waiver:
    only_known(body, _KNOWN, place)
    name = _text(body, "rule", place, hint='give rule = "accuracy", as the rule is named in gate.rules')
    reason = _text(body, "reason", place, hint='say why, for whoever reads it later: reason = "…, see #123"')
    place = f"{place} ({name})"
    kind, _ = kind_of(name, place)
    widened = base_rule(name, rules)
    if kind is RuleKind.FROZEN:
        raise ConfigError(
            f"{place}: frozen has no limit that could be wider", hint="name fewer tensors in its rule"
        )
    if widened is None:
        near = get_close_matches(name, [rule.name for rule in rules], n=1)
        hint = f"did you mean {near[0]}?" if near else "waive one of gate.rules, or remove the waiver"
        raise ConfigError(f"{place}: no rule of this file is waived by it", hint=hint)
    if "limit" not in body:
        raise ConfigError(f"{place} has no limit", hint='give the wider one: limit = "14pt"')
    limit, relative = limit_of(kind, body["limit"], f"{place}: limit")
    _refuse_narrower(widened, limit, relative, place, body["limit"])
    return Waiver(
        rule=name,
        limit=limit,
        relative=relative,
        reason=reason,
        expires=_day(body.get("expires"), place),
        data=_data(body, place),
    )


def _refuse_narrower(rule: Rule, limit: float, relative: bool, place: str, said: object) -> None:
    """A waiver that allows less than the rule would make it stricter by the back door."""
    if rule.limit is None or rule.relative != relative:
        return
    if (limit >= rule.limit) if rule.kind is RuleKind.CKA else (limit <= rule.limit):
        raise ConfigError(
            f"{place}: limit {said} is no wider than the rule's own", hint="change the rule itself"
        )


def _text(body: Mapping[str, object], key: str, place: str, *, hint: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{place} has no {key}", hint=hint)
    return value.strip()


def _data(body: Mapping[str, object], place: str) -> str | None:
    return None if "data" not in body else _text(body, "data", place, hint='write data = "name"')


def _day(value: object, place: str) -> date:
    if value is None:
        raise ConfigError(f"{place} never ends", hint="give its last day, in UTC: expires = 2027-01-31")
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ConfigError(
            f"{place}: expires {value!s} is not a day", hint="write it as in expires = 2027-01-31"
        )
    return value
