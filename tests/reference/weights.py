"""Weight distance written slowly and obviously: whole tensors, float64, exactly rounded sums."""

import math

import torch


def in_float64(tensor):
    return [float(value) for value in tensor.to(torch.float64).reshape(-1).tolist()]


def norm(values):
    return math.sqrt(math.fsum(value * value for value in values))


def distance(base, tuned):
    return norm([b - a for a, b in zip(in_float64(base), in_float64(tuned), strict=True)])


def relative(base, tuned):
    return distance(base, tuned) / norm(in_float64(base))


def max_abs(base, tuned):
    return max(abs(b - a) for a, b in zip(in_float64(base), in_float64(tuned), strict=True))


def one_minus_cosine(base, tuned):
    """Half the squared distance of the two unit vectors: equal to 1 − cosine, and without its cancellation."""
    a, b = in_float64(base), in_float64(tuned)
    a_norm, b_norm = norm(a), norm(b)
    return math.fsum((y / b_norm - x / a_norm) ** 2 for x, y in zip(a, b, strict=True)) / 2
