"""How often the gate errs on questions that come in groups of unequal size: false FAILs and false PASSes.

    python benchmarks/simulate_groups.py [--runs 1000] [--seed 1]

Groups of equal size, one group of half the rows, and log-normal sizes; 8, 12, 20, 40 and 100 of them. Rows flip with
rates that each group draws anew (Dirichlet), from independent rows to groups that flip as a whole. A false FAIL is a
drop over a limit of 0 whose lower limit is over 0 where none was lost; a false PASS is an upper limit below the true
drop, which lies on the limit. min-samples is left out: it would only hold back passes. Claim: at most 6 % each.
"""

import argparse
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from forgetaudit.inference.clusters import clustering_of, design_effect, grouped_tango, variance_of_mean

SIZES = ("equal", "one of half", "log-normal")
COUNTS = (8, 12, 20, 40, 100)
CLAIM = 0.06
MEAN_SIZE = 30
# How alike the rows of a group are (0: not at all, 1: as one), what share of rows flips, and the limit of a PASS.
TRUTHS = ((0.0, 0.05, 0.04), (0.05, 0.3, 0.1), (0.3, 0.05, 0.04), (0.3, 0.3, 0.1), (1.0, 0.3, 0.1))

Counts = NDArray[np.int64]


def main() -> None:
    options = _options()
    worst = 0.0
    print(f"{options.runs} runs each, seed {options.seed}; in percent, the worst of {len(TRUTHS)} truths")
    print(f"{'sizes':<12} {'groups':>6} {'false FAIL':>11} {'false PASS':>11}")
    for sizes in SIZES:
        for n_groups in COUNTS:
            rates = [error_rates(sizes, n_groups, truth, options.runs, options.seed) for truth in TRUTHS]
            fails, passes = (max(one) for one in zip(*rates, strict=True))
            worst = max(worst, fails, passes)
            print(f"{sizes:<12} {n_groups:>6} {100 * fails:>11.1f} {100 * passes:>11.1f}")
    error = math.sqrt(worst * (1 - worst) / options.runs)
    print(
        f"worst {100 * worst:.1f} ± {100 * error:.1f} (one Monte Carlo standard error), claim {100 * CLAIM:.0f}"
    )


def error_rates(
    sizes: str, n_groups: int, truth: tuple[float, float, float], runs: int, seed: int
) -> tuple[float, float]:
    """The shares of false FAILs and of false PASSes."""
    alike, churn, limit = truth
    key = [seed, SIZES.index(sizes), n_groups, round(100 * alike), round(100 * churn)]
    rng = np.random.default_rng(key)
    fails = sum(_fails(*rows) for rows in _samples(rng, sizes, n_groups, alike, (churn, 0.0), runs))
    passes = sum(
        _passes(*rows, limit) for rows in _samples(rng, sizes, n_groups, alike, (churn, limit), runs)
    )
    return fails / runs, passes / runs


def _fails(m: Counts, forgotten: Counts, gained: Counts) -> bool:
    return forgotten.sum() > gained.sum() and _limits(m, forgotten, gained)[0] > 0


def _passes(m: Counts, forgotten: Counts, gained: Counts, limit: float) -> bool:
    return _limits(m, forgotten, gained)[1] < limit


def _limits(m: Counts, forgotten: Counts, gained: Counts) -> tuple[float, float]:
    """One-sided, as the gate makes them."""
    n, sizes = int(m.sum()), m.astype(np.float64)
    net = (forgotten - gained).astype(np.float64)
    drop, groups, touched = float(net.sum()) / n, clustering_of(sizes), sizes[net != 0]
    effect = design_effect(
        float(forgotten.sum() + gained.sum()) / n - drop**2,
        variance_of_mean(net, sizes),
        n,
        groups,
        touched=float(touched.sum() ** 2 / np.square(touched).sum()) if len(touched) else 0.0,
    )
    found = grouped_tango(
        int(forgotten.sum()),
        int(gained.sum()),
        n,
        effect=effect,
        degrees=groups.degrees,
        confidence=0.95,
        sides=1,
    )
    return found.low, found.high


def _samples(
    rng: np.random.Generator, sizes: str, n_groups: int, alike: float, rates: tuple[float, float], runs: int
) -> Iterator[tuple[Counts, Counts, Counts]]:
    churn, drop = rates
    p = np.array([(churn + drop) / 2, (churn - drop) / 2, 1 - churn])
    for _ in range(runs):
        m = _sizes(rng, sizes, n_groups)
        if alike == 0:
            flips = rng.multinomial(m, p)
        elif alike == 1:
            flips = rng.multinomial(1, p, size=n_groups) * m[:, None]
        else:
            flips = rng.multinomial(m, rng.dirichlet(p * (1 / alike - 1), n_groups))
        yield m, flips[:, 0], flips[:, 1]


def _sizes(rng: np.random.Generator, sizes: str, n_groups: int) -> Counts:
    m = np.full(n_groups, MEAN_SIZE)
    if sizes == "one of half":
        m[0] = MEAN_SIZE * (n_groups - 1)
    elif sizes == "log-normal":
        m = np.maximum(1, np.round(MEAN_SIZE * rng.lognormal(-0.5, 1, n_groups))).astype(np.int64)
    return m


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
