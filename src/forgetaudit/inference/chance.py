"""Tell whether base is any better than guessing; if not, nothing it does can show forgetting."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from forgetaudit.inference.binomial import lower_limit, upper_limit, z_quantile

__all__ = ["ChanceCheck", "at_chance", "check_chance"]

_MANY = 100

# Among a few options a base that is surely better than guessing is judged from this share of the way to all right on.
# Among many, random weights are surely better, too: they are not fair guessers.
_PROVED, _WORTH, _FEW = 0.999, 0.04, 0.25
# What the mean recall must surely exceed, as a share of the way from guessing to all right.
_INFORMED = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ChanceCheck:
    """Accuracy beside guessing, as fractions.

    `chance` is what guessing gets right, `upper` the one-sided upper limit of the accuracy, `needed` the
    accuracy that `upper` must reach for base to count as better than guessing; `proved` where it surely is, by its
    accuracy or by its recall of every class.
    """

    n: float
    accuracy: float
    chance: float
    upper: float
    needed: float
    confidence: float
    proved: bool = False

    @property
    def at_chance(self) -> bool:
        """Even the most that the data allow is no advantage worth the name, or many examples show none at all."""
        if self.proved:
            return False
        return self.upper < self.needed or (self.n >= _MANY and self.accuracy <= self.chance)


def at_chance(n_right: float, n: float, k: float, majority_share: float, confidence: float) -> bool:
    """`check_chance` as a yes or no."""
    return check_chance(n_right, n, k, majority_share, confidence).at_chance


def check_chance(
    n_right: float,
    n: float,
    k: float,
    majority_share: float,
    confidence: float,
    recalls: Sequence[tuple[float, float]] = (),
) -> ChanceCheck:
    """Compare `n_right` of `n` with guessing among `k` options, the commonest label being `majority_share`.

    None need be whole: `n` may be an effective number, and 1/`k` a mean over questions with different choices.

    At chance means: the upper Clopper-Pearson limit of the accuracy stays below chance plus a small advantage.

    The upper limit is the one to use because the refusal is a claim ("this base cannot do the task") and must
    be sure: asking whether the *lower* limit exceeds chance would refuse every base on a handful of examples.
    The small advantage is needed twice over. Without it the limit of a true guesser lies below chance in one
    run of twenty only, and random weights are not fair guessers: on 797 digits, 400 random nets (half
    of them convolutional) were right on 1 to 22 %, one in twenty on some 15 % or more, and more data does not bring
    them to 10 %. It is as much again as
    chance, but at least 5 points, so that a base right on 7 % of 1,000 classes is judged, and at most a tenth of
    the way from chance to all right, so that one right on 60 % of two is.

    From 100 examples on it is also enough to be right on no more of them than chance: whoever always answers the
    commonest label is right on exactly its share, which in skewed data the limit alone cannot tell from a little
    more. On fewer examples an honest base can be unlucky, and no gate passes on them by default.

    Nobody is refused who is proved to be better (99.9 %, one-sided): by an accuracy over chance that is worth the name,
    or by the mean recall over the labels (`recalls`: right ones and all of each), which is 1/k for whoever guesses or
    always answers the same. A detector of a rare class can know much and be right less often than "never" is.

    Data of a single class say nothing about guessing the commonest one; there chance is 1/k.
    """
    if n < 1 or k < 2 or not 0 <= majority_share <= 1:
        raise ValueError(
            f"{n} examples of {k} options with a largest share of {majority_share} cannot be judged"
        )
    chance = max(1 / k, majority_share if majority_share < 1 else 0.0)
    advantage = min(0.1 * (1 - chance), max(0.05, chance))
    return ChanceCheck(
        n=n,
        accuracy=n_right / n,
        chance=chance,
        upper=upper_limit(n_right, n, confidence),
        needed=chance + advantage,
        confidence=confidence,
        proved=_is_better(n_right, n, chance) or _is_informed(recalls),
    )


def _is_better(n_right: float, n: float, chance: float) -> bool:
    surely = chance >= _FEW and lower_limit(n_right, n, _PROVED) > chance
    return surely and n_right / n >= chance + _WORTH * (1 - chance)


def _is_informed(recalls: Sequence[tuple[float, float]]) -> bool:
    """Whether the mean recall is surely over guessing among the labels that there are (shares pulled to 1/2)."""
    k = len(recalls)
    if k < 2:
        return False
    shares = [(right + 1) / (n + 2) for right, n in recalls]
    variance = math.fsum(p * (1 - p) / (n + 3) for p, (_, n) in zip(shares, recalls, strict=True)) / k**2
    raw = math.fsum(right / n for right, n in recalls if n) / k
    low = min(raw, math.fsum(shares) / k) - z_quantile(_PROVED, 1) * math.sqrt(variance)
    return low > 1 / k + _INFORMED * (1 - 1 / k)
