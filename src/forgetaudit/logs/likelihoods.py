"""Log-likelihoods in lm-eval's logs: strings, one pair of number and "is it the greedy answer" a choice."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from forgetaudit.logs.answers import Kind

__all__ = ["LARGEST", "kind_of", "log_loss_of", "n_options_of", "number"]

# No score and no log-likelihood is larger, and squares of larger ones overflow when they are summed.
LARGEST = 1e100

# lm-eval gives these as [index of the right choice, …], for a score of the whole set.
_NAME_THE_GOLD = ("f1", "mcc", "brier_score", "likelihood")


def number(value: object) -> float | None:
    """A number, also one that was written as a string; None for anything else, infinity for one beyond 1e100."""
    if not isinstance(value, bool | int | float | str):
        return None
    try:
        found = float(value)
    except OverflowError:
        return math.inf
    except ValueError:
        return {"True": 1.0, "False": 0.0}.get(str(value))
    return math.copysign(math.inf, found) if abs(found) > LARGEST else found


def kind_of(line: Mapping[str, Any]) -> Kind:
    """Seen from the responses: pairs of log-likelihood and flag, lone log-likelihoods, or text."""
    responses = _first_of_each(line)
    if responses and all(_is_scored(response) for response in responses):
        return Kind.LOG_LIKELIHOOD if len(responses) == 1 else Kind.MULTIPLE_CHOICE
    request = _requests(line)[:1]
    if len(responses) == 1 and number(responses[0]) is not None and request and len(request[0]) == 1:
        return Kind.ROLLING
    return Kind.GENERATION


def n_options_of(line: Mapping[str, Any], kind: Kind) -> int | None:
    """The number of choices; None where the answer is open."""
    return len(_choices(line)) if kind is Kind.MULTIPLE_CHOICE else None


def log_loss_of(line: Mapping[str, Any], kind: Kind) -> float | None:
    """Minus the log-likelihood of the right answer in nats; None where the log does not say which that is."""
    match kind:
        case Kind.GENERATION:
            return None
        case Kind.ROLLING:
            found = number(_first_of_each(line)[0])
            return None if found is None else -found
        case Kind.LOG_LIKELIHOOD:
            return -_choices(line)[0]
        case Kind.MULTIPLE_CHOICE:
            choices = _choices(line)
            gold = _gold(line, len(choices))
            return None if gold is None or _contradicted(line, choices, gold) else -choices[gold]


def _choices(line: Mapping[str, Any]) -> list[float]:
    """The log-likelihood of each choice.

    For mutual information every choice is asked for twice, the second time without its context.
    """
    found = [number(response[0]) for response in _first_of_each(line)]
    choices = [math.nan if value is None else value for value in found]
    metrics = line.get("metrics")
    twice = "acc_mutual_info" in (metrics if isinstance(metrics, list) else line) and len(choices) % 2 == 0
    return choices[: len(choices) // 2] if twice else choices


def _gold(line: Mapping[str, Any], n: int) -> int | None:
    """The right choice: named by a metric, else the target as an index, else the one that reads like the target."""
    for name in _NAME_THE_GOLD:
        pair = line.get(name)
        if isinstance(pair, list) and pair and isinstance(pair[0], int) and 0 <= pair[0] < n:
            return int(pair[0])
    target = str(line.get("target", ""))
    if target.isdecimal():
        # A number of more digits than n is larger than n; thousands of digits are more than int() takes.
        return int(target) if len(target) <= len(str(n)) and int(target) < n else None
    texts = [str(request.get("arg_1", "")).strip() for request in _requests(line)[:n]]
    return texts.index(target.strip()) if texts.count(target.strip()) == 1 else None


def _contradicted(line: Mapping[str, Any], choices: Sequence[float], gold: int) -> bool:
    """Whether acc says that another choice is right: the target was then no index."""
    said = number(line.get("acc"))
    if said not in (0.0, 1.0) or any(math.isnan(value) for value in choices):
        return False
    return (max(range(len(choices)), key=choices.__getitem__) == gold) != (said == 1.0)


def _is_scored(response: object) -> bool:
    return (
        isinstance(response, list)
        and len(response) == 2
        and number(response[0]) is not None
        and response[1] in ("True", "False", True, False)
    )


def _first_of_each(line: Mapping[str, Any]) -> list[Any]:
    """The first response to each request: [[first, repeat, …], …] in the file."""
    responses = line.get("resps")
    if not isinstance(responses, list):
        return []
    return [repeats[0] if isinstance(repeats, list) and repeats else repeats for repeats in responses]


def _requests(line: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What the model was given: {"gen_args_0": {"arg_0": context, "arg_1": continuation}, …} in the file."""
    arguments = line.get("arguments")
    found = list(arguments.values()) if isinstance(arguments, dict) else []
    return [request for request in found if isinstance(request, dict)]
