"""The gate's options over the config's policy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from forgetaudit.config import Config
from forgetaudit.errors import UsageError
from forgetaudit.policy import (
    MOST_EXAMPLES,
    FailWhen,
    OnInconclusive,
    Policy,
    Rule,
    RuleKind,
    drop_limit,
    integer_limit,
    plain_limit,
)

__all__ = ["GateWords", "plan_policy", "with_confidence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateWords:
    """The gate's options as they were typed; None where they were not."""

    max_drop: str | None = None
    min_cka: float | None = None
    max_distance: float | None = None
    frozen: Sequence[str] | None = None
    confidence: float | None = None
    min_samples: int | None = None
    fail_when: str | None = None
    on_inconclusive: str | None = None


def plan_policy(words: GateWords, config: Config) -> Policy:
    """The config's policy with what was typed over it. A limit typed on the command line fails, and is not waived."""
    typed = _typed_rules(words)
    names = {rule.name for rule in typed}
    rules = (*(rule for rule in config.policy.rules if rule.name not in names), *typed)
    waivers = tuple(one for one in config.policy.waivers if one.rule.partition("/")[0] not in names)
    policy = replace(config.policy, rules=rules, waivers=waivers)
    policy = with_confidence(policy, words.confidence)
    if words.min_samples is not None:
        fewest = integer_limit(words.min_samples, "--min-samples", low=2, high=MOST_EXAMPLES)
        policy = replace(policy, min_samples=fewest)
    if words.fail_when is not None:
        policy = replace(policy, fail_when=FailWhen(words.fail_when))
    if words.on_inconclusive is not None:
        policy = replace(policy, on_inconclusive=OnInconclusive(words.on_inconclusive))
    _refuse_idle_gate(words, rules)
    return policy


def with_confidence(policy: Policy, confidence: float | None) -> Policy:
    """The policy at the confidence that was typed, if one was. It may have no rules: a repair has demands."""
    if confidence is None:
        return policy
    if not 0.5 < confidence < 1:
        raise UsageError(f"--confidence {confidence:g} is not between 0.5 and 1", hint="pass 0.95")
    return replace(policy, confidence=confidence)


def _refuse_idle_gate(words: GateWords, rules: Sequence[Rule]) -> None:
    """How sure a verdict has to be says nothing where there is no rule to be judged."""
    idle = {
        "--confidence": words.confidence,
        "--min-samples": words.min_samples,
        "--fail-when": words.fail_when,
        "--on-inconclusive": words.on_inconclusive,
    }
    typed = [option for option, value in idle.items() if value is not None]
    if typed and not rules:
        raise UsageError(
            f"{', '.join(typed)} {'needs' if len(typed) == 1 else 'need'} a rule, and there is none",
            hint="set a limit, as in --max-drop 2pt, or leave it out",
        )


def _typed_rules(words: GateWords) -> list[Rule]:
    rules = []
    if words.max_drop is not None:
        limit, relative = drop_limit(words.max_drop, "--max-drop")
        rules.append(Rule(kind=RuleKind.ACCURACY, limit=limit, relative=relative))
    if words.min_cka is not None:
        limit = plain_limit(words.min_cka, "--min-cka", low=-1, high=1)
        rules.append(Rule(kind=RuleKind.CKA, limit=limit))
    if words.max_distance is not None:
        limit = plain_limit(words.max_distance, "--max-distance", low=0, high=None)
        rules.append(Rule(kind=RuleKind.DISTANCE, limit=limit))
    if words.frozen:
        rules.append(Rule(kind=RuleKind.FROZEN, patterns=tuple(words.frozen)))
    return rules
