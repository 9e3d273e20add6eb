"""Tell whether base is any better than guessing; if not, nothing it does can show forgetting."""

from dataclasses import dataclass

from forgetaudit.inference.binomial import upper_limit

__all__ = ["ChanceCheck", "at_chance", "check_chance"]

_MANY = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ChanceCheck:
    """Accuracy beside guessing, as fractions.

    `chance` is what guessing gets right, `upper` the one-sided upper limit of the accuracy, `needed` the
    accuracy that `upper` must reach for base to count as better than guessing.
    """

    n: float
    accuracy: float
    chance: float
    upper: float
    needed: float
    confidence: float

    @property
    def at_chance(self) -> bool:
        """Even the most that the data allow is no advantage worth the name, or many examples show none at all."""
        return self.upper < self.needed or (self.n >= _MANY and self.accuracy <= self.chance)


def at_chance(n_right: float, n: float, k: float, majority_share: float, confidence: float) -> bool:
    """`check_chance` as a yes or no."""
    return check_chance(n_right, n, k, majority_share, confidence).at_chance


def check_chance(n_right: float, n: float, k: float, majority_share: float, confidence: float) -> ChanceCheck:
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
    )
