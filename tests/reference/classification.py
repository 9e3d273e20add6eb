"""Log loss written out, one example and one number at a time, in fractions where it matters."""

import math
from collections.abc import Sequence

__all__ = ["log_loss"]


def log_loss(scores: Sequence[float], label: int) -> float:
    """−log of the label's share of the exponentials, with the sum taken exactly."""
    top = max(scores)
    total = math.fsum(math.exp(score - top) for score in scores)
    return math.log(total) - (scores[label] - top)
