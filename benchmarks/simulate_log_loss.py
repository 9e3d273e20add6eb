"""How often the rule on the log loss errs where differences have heavy or skewed tails: false FAILs and PASSes.

    python benchmarks/simulate_log_loss.py [--runs 1000] [--seed 1]

200 to 5,000 paired differences of each shape, with their long tail above (rises) and below (gains), centred so that
nothing was lost (a FAIL under a limit of 0 is false) or that the rise is the limit (a PASS is false). Judged by the
report's own rule. Claim: at most 6 % each. Said beside it, with no claim: rare gains nobody saw, against which no
limit of a FAIL can help that has any power; and what Student's t alone would do.
"""

import argparse
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from forgetaudit.inference.means import mean_difference
from forgetaudit.policy import Policy, Rule, RuleKind
from forgetaudit.report.behaviour import Accuracy, FlipTable, LogLoss, SourceSection
from forgetaudit.report.parts import Absent, Estimate, estimate_from
from forgetaudit.report.rules.log_loss import judge_log_loss

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
RARE = ("1 % of 5 nats", "0.2 % of 20 nats")


def main() -> None:
    options = _options()
    worst = 0.0
    print(f"{options.runs} runs each, seed {options.seed}; in percent")
    print(
        f"{'shape':<22} {'n':>6} {'FAIL':>6} {'PASS':>6} {'t PASS':>7}   {'tail below: FAIL':>17} {'PASS':>6}"
    )
    for name, draw in SHAPES.items():
        for n in COUNTS:
            rng = np.random.default_rng([options.seed, n, len(name)])
            rates = error_rates(draw, n, options.runs, rng)
            print(
                f"{name:<22} {n:>6,} {100 * rates['fail']:>6.1f} {100 * rates['pass']:>6.1f} {100 * rates['t']:>7.1f}"
                f"   {100 * rates['fail below']:>17.1f} {100 * rates['pass below']:>6.1f}"
            )
            claimed = [rates["fail"], rates["pass"], rates["pass below"]]
            worst = max(worst, *claimed, 0.0 if name in RARE else rates["fail below"])
    error = math.sqrt(worst * (1 - worst) / options.runs)
    print(
        f"worst {100 * worst:.1f} ± {100 * error:.1f} (one Monte Carlo standard error), claim {100 * CLAIM:.0f}"
    )


def error_rates(draw: Draw, n: int, runs: int, rng: np.random.Generator) -> dict[str, float]:
    """By what went wrong its share; `t` is a PASS by Student's t alone."""
    found = dict.fromkeys(("fail", "pass", "t", "fail below", "pass below"), 0)
    for _ in range(runs):
        values = draw(rng, n)
        found["fail"] += outcome(values, limit=0.0) == "fail"
        found["fail below"] += outcome(-values, limit=0.0) == "fail"
        found["pass"] += outcome(values + BASE, limit=BASE) == "pass"
        found["pass below"] += outcome(-values + BASE, limit=BASE) == "pass"
        found["t"] += _by_t(values)
    return {name: count / runs for name, count in found.items()}


def outcome(values: Values, *, limit: float) -> str:
    """What the rule says of these differences."""
    rule = Rule(kind=RuleKind.LOG_LOSS, limit=limit)
    return judge_log_loss(rule, Policy(rules=(rule,)), _section(values)).outcome


def _by_t(values: Values) -> bool:
    found = mean_difference(len(values), *_sums(values), confidence=0.9, sides=2)
    return getattr(found, "high", math.inf) < 0


def _sums(values: Values) -> tuple[float, float]:
    return float(values.mean()), float(np.square(values - values.mean()).sum())


def _section(values: Values) -> SourceSection:
    n, mean = len(values), float(values.mean())
    increase = estimate_from(mean_difference(n, *_sums(values), confidence=0.95, sides=2))
    return SourceSection(
        data="val",
        variant="tuned",
        n=n,
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
