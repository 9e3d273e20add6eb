"""What guessing and many classes do to the numbers: corrections that explain them, and judge nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Corrected", "correct_for_guessing", "worst_by_chance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """Fractions of all questions, were they not guessed. `forgotten_low` and `forgotten_high` bound what was forgotten.

    Low if unknown questions are guessed anew each time, high if the same guess comes again, as it does between two
    versions of one network.
    """

    net_drop: float
    forgotten_low: float
    forgotten_high: float


def correct_for_guessing(forgotten: int, gained: int, n_right_base: int, n: int, guess: float) -> Corrected:
    """With a share `guess` of blind answers right: net drop / (1 − guess), which is k/(k − 1) for k options.

    A model that knows a share s is right on s + (1 − s)·guess. Of what was known and is not, a share `guess` is still
    right by luck, so what is seen is divided by 1 − guess, too, and is never less than the net drop.
    Of what neither knows, guess·(1 − guess) is forgotten by luck alone (after Harmon et al., arXiv 2510.17776): two
    random classifiers of two classes seem to forget .25, and forgot 0. ValueError unless 0 <= guess < 1 and the counts
    are a table.
    """
    if not (0 <= guess < 1 and n >= 1 and 0 <= forgotten <= n_right_base <= n):
        raise ValueError(
            f"{forgotten} forgotten of {n_right_base} right of {n}, {guess} guessed, is no table"
        )
    n_right_tuned = n_right_base - forgotten + gained
    unknown = min(1.0, *((1 - right / n) / (1 - guess) for right in (n_right_base, n_right_tuned)))
    seen = forgotten / n
    net_drop = (forgotten - gained) / n / (1 - guess)
    low = max(0.0, net_drop, seen / (1 - guess) - unknown * guess)
    return Corrected(
        net_drop=net_drop, forgotten_low=low, forgotten_high=max(low, min(1.0, seen / (1 - guess)))
    )


def worst_by_chance(sizes: Sequence[int], flip_rate: float) -> float:
    """How far the worst of classes of `sizes` examples falls on average if nothing changed but flips either way.

    Exact: the distribution of (forgotten − gained)/size in each class, every example flipping with `flip_rate`, half
    of the flips each way, by its characteristic function; then the mean of the largest of all. ValueError unless
    sizes are positive and the rate a share.
    """
    import numpy as np

    if not sizes or min(sizes) < 1 or not 0 <= flip_rate <= 1:
        raise ValueError(f"classes of {sizes} examples at a flip rate of {flip_rate} say nothing")
    # Between two neighbours of this grid all distribution functions are constant but for rounding.
    drops = np.linspace(-1, 1, 4001)[:-1] + 1 / 4000
    log_below = np.zeros(len(drops))
    for size, count in zip(*np.unique(np.asarray(sizes), return_counts=True), strict=True):
        width = 2 * int(size) + 1
        angles = 2 * np.pi * np.arange(width) / width
        shares = np.fft.fft((1 - flip_rate + flip_rate * np.cos(angles)) ** int(size)).real / width
        # Losses −size … size, in order.
        cumulated = np.cumsum(np.clip(np.roll(shares, int(size)), 0, None))
        at = np.floor(drops * int(size) + 1e-9).astype(np.int64) + int(size)
        log_below += int(count) * np.log(np.clip(cumulated[at], 1e-300, 1))
    return float(-1 + (1 - np.exp(log_below)).sum() * (2 / 4000))
