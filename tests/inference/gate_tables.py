"""The tables of docs/gate.md, made from exact enumeration: `python -m tests.inference.gate_tables` prints them."""

import math

from forgetaudit.inference.binomial import at_most, z_quantile
from forgetaudit.inference.proportions import lower_limit, upper_limit
from forgetaudit.inference.verdicts import verdict_chances
from forgetaudit.wording import honest

CONFIDENCE = 0.95
Z = z_quantile(CONFIDENCE, 1)


def percent(share):
    # What is summed from tails may miss a whole, or nothing, by a rounding.
    return honest(100 * min(max(share, 0.0), 1.0), decimals=1, top=100)


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join("---:" for _ in header) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def verdicts(n, churn, drop, limit):
    rates = {"forgotten": (churn + drop) / 2, "gained": (churn - drop) / 2}
    found = verdict_chances(n, **rates, limit=limit, confidence=CONFIDENCE)
    return percent(found.passes), percent(found.fails_likely), percent(found.fails_proven)


def nothing_lost():
    rows = [
        [f"{n:,}", f"{100 * churn:g}", f"{100 * limit:g}", *verdicts(n, churn, 0.0, limit)]
        for limit in (0.0, 0.02)
        for n in (200, 500, 1000, 5000)
        for churn in (0.04, 0.10)
    ]
    return table(["n", "churn, pt", "limit, pt", "PASS %", "FAIL likely %", "FAIL proven %"], rows)


def on_the_limit():
    rows = [
        [f"{n:,}", f"{100 * churn:g}", *verdicts(n, churn, 0.02, 0.02)]
        for n in (200, 500, 1000, 5000)
        for churn in (0.04, 0.10)
    ]
    return table(["n", "churn, pt", "PASS %", "FAIL likely %", "FAIL proven %"], rows)


def some_lost():
    rows = []
    for n in (200, 800, 2000):
        for drop, churn in (
            (0.01, 0.04),
            (0.015, 0.04),
            (0.015, 0.10),
            (0.03, 0.04),
            (0.04, 0.04),
            (0.04, 0.10),
        ):
            rows.append([f"{n:,}", f"{100 * drop:g}", f"{100 * churn:g}", *verdicts(n, churn, drop, 0.02)])
    return table(["n", "true drop, pt", "churn, pt", "PASS %", "FAIL likely %", "FAIL proven %"], rows)


def unpaired():
    """Of 200 examples, all flips losses, the chance that the unpaired z-test sees a drop of 4 points from 90 %."""
    found = 0.0
    for lost in range(201):
        base, tuned = 0.9, 0.9 - lost / 200
        pooled = (base + tuned) / 2
        if lost and (base - tuned) / math.sqrt(2 * pooled * (1 - pooled) / 200) > Z:
            found += at_most(lost, 200, 0.04) - at_most(lost - 1, 200, 0.04)
    return found


def shares():
    rows = []
    for n in (200, 1000):
        for share in (0.02, 0.04, 0.05, 0.08, 0.10):
            p = [at_most(k, n, share) - at_most(k - 1, n, share) for k in range(n + 1)]
            passes = sum(p[k] for k in range(n + 1) if upper_limit(k, n, CONFIDENCE) < 0.05)
            likely = sum(p[k] for k in range(n + 1) if k / n > 0.05)
            proven = sum(p[k] for k in range(n + 1) if lower_limit(k, n, CONFIDENCE) > 0.05)
            rows.append([f"{n:,}", f"{100 * share:g}", percent(passes), percent(likely), percent(proven)])
    return table(["n", "true share, pt", "PASS %", "FAIL likely %", "FAIL proven %"], rows)


TABLES = {
    "nothing-lost": nothing_lost,
    "on-the-limit": on_the_limit,
    "some-lost": some_lost,
    "shares": shares,
}


def main():
    for name, made in TABLES.items():
        print(f"<!-- {name} -->\n{made()}\n<!-- end -->\n")
    print(f"unpaired: {100 * unpaired():.0f} %")


if __name__ == "__main__":
    main()
