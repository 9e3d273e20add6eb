"""How often the rule on the log loss errs where differences have heavy or skewed tails: false FAILs and PASSes.

    python benchmarks/simulate_log_loss.py [--runs 1000] [--seed 1]

200 to 5,000 paired differences of each shape, with their long tail above (rises) and below (gains), centred so that
nothing was lost (a FAIL under a limit of 0 is false) or that the rise is the limit (a PASS is false). Judged by the
report's own rule; the same in groups of log-normal sizes, whose questions share a part of their difference. Claim:
at most 6 % each. Said beside it: what Student's t alone would do.
"""

import argparse
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from forgetaudit.inference.clusters import clustering_of, grouped_mean, variance_of_mean
from forgetaudit.inference.means import mean_difference
from forgetaudit.judge.rules.log_loss import judge_log_loss
from forgetaudit.policy import Policy, Rule, RuleKind
from forgetaudit.report.behaviour import Accuracy, FlipTable, Groups, LogLoss, SourceSection
from forgetaudit.report.parts import Absent, Estimate, estimate_from

CLAIM = 0.06
COUNTS = (200, 500, 1000, 5000)
BASE = 1.0
Values = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Values]

SHAPES: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(0, 1, n),
    "log-normal, sigma 1": lambda rng, n: rng.lognormal(0, 1, n) - math.exp(0.5),
    "log-normal, sigma 2": lambda rng, n: rng.lognormal(0, 2, n) / math.exp(2) - 1,
    "t3": lambda rng, n: rng.standard_t(3, n),
    "exponential": lambda rng, n: rng.exponential(1, n) - 1,
    "1 % of 5 nats": lambda rng, n: np.where(rng.random(n) < 0.01, 5.0, rng.normal(0, 0.1, n)) - 0.05,
    "0.2 % of 20 nats": lambda rng, n: np.where(rng.random(n) < 0.002, 20.0, rng.normal(0, 0.1, n)) - 0.04,
}


# The means of whole documents have shorter tails than single answers.
GROUPED = ("normal", "log-normal, sigma 1", "t3", "exponential")
GROUP_COUNTS = (40, 100, 400)

# Groups of few questions, as two of one source, have the tails of single answers.
RARE = ("1 % of 5 nats", "0.2 % of 20 nats", "log-normal, sigma 2")
ROWS = (1, 2, 10)


def main() -> None:
    options = _options()
    worst = 0.0
    print(f"{options.runs} runs each, seed {options.seed}; in percent")
    print(
        f"{'shape':<29} {'n':>6} {'FAIL':>6} {'PASS':>6} {'t PASS':>7}   {'tail below: FAIL':>17} {'PASS':>6}"
    )
    for name, draw in SHAPES.items():
        for n in COUNTS:
            rng = np.random.default_rng([options.seed, n, len(name)])
            rates = error_rates(draw, n, options.runs, rng)
            print(
                f"{name:<29} {n:>6,} {100 * rates['fail']:>6.1f} {100 * rates['pass']:>6.1f} {100 * rates['t']:>7.1f}"
                f"   {100 * rates['fail below']:>17.1f} {100 * rates['pass below']:>6.1f}"
            )
            worst = max(worst, *(rate for which, rate in rates.items() if which != "t"))
    for name in GROUPED:
        for n in GROUP_COUNTS:
            rng = np.random.default_rng([options.seed, n, len(name), 2])
            rates = error_rates(SHAPES[name], n, options.runs, rng, grouped=True)
            print(
                f"{name + ', grouped':<29} {n:>6,} {100 * rates['fail']:>6.1f} {100 * rates['pass']:>6.1f} {'':>7}"
                f"   {100 * rates['fail below']:>17.1f} {100 * rates['pass below']:>6.1f}"
            )
            worst = max(worst, *(rate for which, rate in rates.items() if which != "t"))
    for name in RARE:
        for rows in ROWS:
            for n in GROUP_COUNTS:
                rng = np.random.default_rng([options.seed, n, len(name), 3, rows])
                rates = error_rates(SHAPES[name], n, options.runs, rng, rows=rows)
                print(
                    f"{name + f', {rows} a group':<29} {n:>6,} {100 * rates['fail']:>6.1f} {100 * rates['pass']:>6.1f}"
                    f" {'':>7}   {100 * rates['fail below']:>17.1f} {100 * rates['pass below']:>6.1f}"
                )
                worst = max(worst, *(rate for which, rate in rates.items() if which != "t"))
    error = math.sqrt(worst * (1 - worst) / options.runs)
    print(
        f"worst {100 * worst:.1f} ± {100 * error:.1f} (one Monte Carlo standard error), claim {100 * CLAIM:.0f}"
    )


def error_rates(
    draw: Draw, n: int, runs: int, rng: np.random.Generator, *, grouped: bool = False, rows: int = 0
) -> dict[str, float]:
    """By what went wrong its share; `t` is a PASS by Student's t alone.

    `grouped`: n groups of log-normal sizes whose means are drawn; `rows`: n groups of so many questions each.
    """
    found = dict.fromkeys(("fail", "pass", "t", "fail below", "pass below"), 0)
    for _ in range(runs):
        values = draw(rng, n * rows).reshape(n, rows).mean(axis=1) if rows else draw(rng, n)
        sizes = np.full(n, float(rows)) if rows else np.ceil(rng.lognormal(3, 0.7, n)) if grouped else None
        found["fail"] += outcome(values, sizes, limit=0.0) == "fail"
        found["fail below"] += outcome(-values, sizes, limit=0.0) == "fail"
        found["pass"] += outcome(values + BASE, sizes, limit=BASE) == "pass"
        found["pass below"] += outcome(-values + BASE, sizes, limit=BASE) == "pass"
        found["t"] += _by_t(values)
    return {name: count / runs for name, count in found.items()}


def outcome(values: Values, sizes: Values | None = None, *, limit: float) -> str:
    """What the rule says of these differences; with `sizes`, of groups with these means."""
    rule = Rule(kind=RuleKind.LOG_LOSS, limit=limit)
    return judge_log_loss(rule, Policy(rules=(rule,)), _section(values, sizes)).outcome


def _by_t(values: Values) -> bool:
    found = mean_difference(len(values), *_sums(values), confidence=0.9, sides=2)
    return getattr(found, "high", math.inf) < 0


def _sums(values: Values) -> tuple[float, float]:
    return float(values.mean()), float(np.square(values - values.mean()).sum())


def _section(values: Values, sizes: Values | None) -> SourceSection:
    n, mean = len(values), float(values.mean())
    found, groups = mean_difference(n, *_sums(values), confidence=0.95, sides=2), None
    if sizes is not None:
        n, mean = int(sizes.sum()), float((values * sizes).sum() / sizes.sum())
        clusters = clustering_of(sizes)
        found = grouped_mean(
            mean, variance_of_mean(values * sizes, sizes), clusters, confidence=0.95, sides=2
        )
        groups = Groups(
            n=len(values),
            effective=clusters.effective,
            degrees=clusters.degrees,
            drop_effect=1.0,
            disagreement_effect=1.0,
        )
    increase = estimate_from(found)
    return SourceSection(
        data="val",
        variant="tuned",
        n=n,
        groups=groups,
        task="classification",
        accuracy=Accuracy(
            base=1.0, tuned=1.0, drop=Estimate(kind="statistical", estimate=0.0, method="tango")
        ),
        flips=FlipTable(forgotten=0, gained=0, kept=n, missed=0),
        mcnemar=Absent(not_measured="simulated"),
        nll=LogLoss(
            base=BASE,
            tuned=BASE + mean,
            increase=increase,
            largest_rise=max(0.0, float(values.max())),
            largest_gain=max(0.0, -float(values.min())),
        ),
        known=False,
        unusable=None,
        nonfinite={},
        per_class=(),
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
