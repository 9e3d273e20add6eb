"""[gate.rules]: what limits what. A limit has its unit, a rule its known keys, and a misspelt one its nearest."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from forgetaudit.errors import ConfigError, UsageError
from forgetaudit.policy import (
    MOST_EXAMPLES,
    FailWhen,
    Level,
    Rule,
    RuleKind,
    drop_limit,
    integer_limit,
    nats_limit,
    plain_limit,
)

__all__ = ["kind_of", "limit_of", "only_known", "read_rules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How a rule is written: the key of its limit, its level where none is given, and the keys it takes beside."""

    key: str
    limit: Callable[[object, str], tuple[float, bool]] | None
    level: Level = Level.FAIL
    sampled: bool = False


def _cka_limit(value: object, option: str) -> tuple[float, bool]:
    return plain_limit(value, option, low=-1, high=1), False


def _distance_limit(value: object, option: str) -> tuple[float, bool]:
    return plain_limit(value, option, low=0, high=None), False


def _points(value: object, option: str) -> tuple[float, bool]:
    limit, relative = drop_limit(value, option)
    if relative:
        raise ConfigError(
            f"{option} {value} is relative, and an error of calibration is in points", hint="use pt"
        )
    return limit, False


# Geometry explains a loss and is a poor measure of one, so it warns unless the file says otherwise.
_FORMS = {
    RuleKind.ACCURACY: _Form(key="max-drop", limit=drop_limit, sampled=True),
    RuleKind.CLASSES: _Form(key="max-drop", limit=drop_limit, sampled=True),
    RuleKind.GROUPS: _Form(key="max-drop", limit=drop_limit, sampled=True),
    RuleKind.LOG_LOSS: _Form(key="max-increase", limit=nats_limit, sampled=True),
    RuleKind.FORGOTTEN: _Form(key="max", limit=drop_limit, sampled=True),
    RuleKind.DISAGREEMENT: _Form(key="max", limit=drop_limit, sampled=True),
    RuleKind.CALIBRATION: _Form(key="max-increase", limit=_points),
    RuleKind.CKA: _Form(key="min", limit=_cka_limit, level=Level.WARN),
    RuleKind.DISTANCE: _Form(key="max", limit=_distance_limit, level=Level.WARN),
    RuleKind.FROZEN: _Form(key="tensors", limit=None),
}  # fmt: skip


def read_rules(rules: Mapping[str, object], file: str) -> tuple[Rule, ...]:
    """Every rule of the file; one name may hold several tables, each for data of its own. ConfigError otherwise."""
    found: list[Rule] = []
    for name, written in rules.items():
        for body in _bodies(name, written, file):
            rule = _rule(name, dict(body), f"{file}: gate.rules.{name}")
            if any((rule.name, rule.data) == (other.name, other.data) for other in found):
                raise ConfigError(
                    f"{file}: gate.rules.{name} is given twice for the same data",
                    hint='give each its data = "name"',
                )
            found.append(rule)
    return tuple(found)


def kind_of(name: str, place: str) -> tuple[RuleKind, str | None]:
    """`cka/block2` -> cka, block2. ConfigError for a rule that there is not, with the nearest there is."""
    head, slash, where = name.partition("/")
    if head not in set(RuleKind):
        near = get_close_matches(head, list(RuleKind), n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"the rules are {', '.join(RuleKind)}"
        raise ConfigError(f"{place}: there is no such rule", hint=hint)
    kind = RuleKind(head)
    if slash and not where:
        raise ConfigError(f"{place}: nothing is named after the /", hint=f'write "{kind}"')
    if where and not kind.has_parts:
        raise ConfigError(f"{place}: {kind} is not measured by layer, class or group", hint=f'write "{kind}"')
    return kind, where or None


def limit_of(kind: RuleKind, value: object, option: str) -> tuple[float, bool]:
    """A limit in the rule's unit, and whether it is relative to base. ConfigError where the unit is missing."""
    convert = _FORMS[kind].limit
    if convert is None:
        raise ConfigError(f"{option}: {kind} has no limit that could be wider", hint="name fewer tensors")
    try:
        return convert(value, option)
    except ConfigError:
        raise
    except UsageError as error:
        raise ConfigError(error.fact, details=error.details, hint=error.hint) from None


def only_known(body: Mapping[str, object], known: set[str], place: str) -> None:
    """ConfigError for a key that is not known, with the nearest that is."""
    for key in body:
        if key in known:
            continue
        near = get_close_matches(key, sorted(known), n=1)
        hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(sorted(known))}"
        raise ConfigError(f"{place}: unknown key {key}", hint=hint)


def _bodies(name: str, written: object, file: str) -> Iterator[Mapping[str, Any]]:
    place = f"{file}: gate.rules.{name}"
    tables = written if isinstance(written, list) else [written]
    for body in tables:
        if not isinstance(body, Mapping):
            raise ConfigError(f"{place} is not a table", hint=f"write it as in {_example(name)}")
        # TOML reads a bare accuracy.per-class as a table in a table.
        for key in body:
            if f"{name}.{key}" in set(RuleKind):
                raise ConfigError(
                    f"{place}: {key} is a table", hint=f'put the name in quotes: "{name}.{key}"'
                )
        yield body
    if not tables:
        raise ConfigError(f"{place} is empty", hint=f"write it as in {_example(name)}")


def _example(name: str) -> str:
    return f'{name} = {{ max-drop = "2pt" }}' if name == "accuracy" else f'"{name}" = {{ … }}'


def _rule(name: str, body: dict[str, Any], place: str) -> Rule:
    kind, where = kind_of(name, place)
    form = _FORMS[kind]
    known = {form.key, "level"}
    known |= {"min-samples", "fail-when"} if form.sampled else set()
    known |= set() if kind.is_of_weights else {"data"}
    only_known(body, known, place)
    if form.key not in body:
        raise ConfigError(f"{place} has no limit", hint=f"give {form.key}")
    limit, relative = (None, False)
    if form.limit is not None:
        limit, relative = limit_of(kind, body[form.key], f"{place}.{form.key}")
    return Rule(
        kind=kind,
        limit=limit,
        relative=relative,
        where=where,
        data=_text(body.get("data"), f"{place}.data"),
        patterns=_patterns(body["tensors"], f"{place}.tensors") if kind is RuleKind.FROZEN else (),
        level=_level(body.get("level", form.level.value), place),
        min_samples=_min_samples(body.get("min-samples"), f"{place}.min-samples"),
        fail_when=_fail_when(body.get("fail-when"), place),
    )


def _text(value: object, option: str) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise ConfigError(f"{option} {value!r} is not the name of a data set", hint='write data = "name"')


def _patterns(value: object, option: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise ConfigError(f"{option} is not a list of tensor names", hint='write ["stem.*"]')
    return tuple(value)


def _level(value: object, place: str) -> Level:
    if value not in list(Level):
        raise ConfigError(f"{place}: level {value!r} is unknown", hint="level is fail or warn")
    return Level(str(value))


def _fail_when(value: object, place: str) -> FailWhen | None:
    if value is None:
        return None
    if value not in list(FailWhen):
        raise ConfigError(f"{place}: fail-when {value!r} is unknown", hint="fail-when is likely or proven")
    return FailWhen(str(value))


def _min_samples(value: object, option: str) -> int | None:
    if value is None:
        return None
    try:
        return integer_limit(value, option, low=2, high=MOST_EXAMPLES)
    except UsageError as error:
        raise ConfigError(error.fact, details=error.details, hint=error.hint) from None
