"""Limits of the drop that hold at every moment at once, so that an audit may look after each batch and stop.

A gambler bets that the drop is larger (or smaller) than m. Each example multiplies the capital by 1 ± λ(d − m), where
d is 1 for forgotten, −1 for gained, 0 else. If the drop were m, the capital would be a fair game whatever λ is, and
would ever reach 1/α with probability at most α (Ville). So once it has, m is refused for good: the limits are the
betting confidence sequence of Waudby-Smith and Ramdas (2024, JRSS B 86, 1; arXiv 2010.09686), here with the
capital spread evenly over fixed bets, so that it depends on the counts alone and not on their order.
"""

import math

from forgetaudit.values import Interval, Sides

__all__ = ["sequential_limits"]

# Bets from all that may be risked down to a thousandth of it; a finer grid wins nothing.
_SHARES = tuple(2 ** (-step / 2) for step in range(21))
_TOLERANCE = 1e-9


def sequential_limits(forgotten: int, gained: int, n: int, *, confidence: float, sides: Sides) -> Interval:
    """The drop with limits that hold for all n at once; each with `confidence` where `sides` is 1.

    Examples must come in random order. ValueError unless the counts are of n ≥ 1 examples.
    """
    if not (n >= 1 and forgotten >= 0 and gained >= 0 and forgotten + gained <= n):
        raise ValueError(f"{forgotten} forgotten and {gained} gained of {n} examples is not a table")
    if not 0.5 < confidence < 1:
        raise ValueError(f"confidence must lie between 0.5 and 1, not {confidence}")
    needed = -math.log((1 - confidence) / sides)
    return Interval(
        estimate=(forgotten - gained) / n,
        low=-_upper(gained, forgotten, n, needed),
        high=_upper(forgotten, gained, n, needed),
        confidence=confidence,
        sides=sides,
        method="betting",
    )


def _upper(forgotten: int, gained: int, n: int, needed: float) -> float:
    """The smallest drop above the estimate that is refused; 1 where none is. The capital grows with m."""
    low, high = (forgotten - gained) / n, 1.0
    if low >= high or _log_capital(forgotten, gained, n, high - _TOLERANCE) < needed:
        return 1.0
    while high - low > _TOLERANCE:
        middle = (low + high) / 2
        if _log_capital(forgotten, gained, n, middle) >= needed:
            high = middle
        else:
            low = middle
    return high


def _log_capital(forgotten: int, gained: int, n: int, m: float) -> float:
    """Of bets that the drop is less than m: log of the mean over λ of Π (1 − λ(d − m))."""
    unchanged = n - forgotten - gained
    logs = []
    for share in _SHARES:
        # A forgotten example must leave something: 1 − λ(1 − m) > 0.
        bet = 0.999 * share / (1 - m)
        logs.append(
            forgotten * math.log1p(-bet * (1 - m))
            + gained * math.log1p(bet * (1 + m))
            + unchanged * math.log1p(bet * m)
        )
    most = max(logs)
    return most + math.log(math.fsum(math.exp(one - most) for one in logs) / len(logs))
