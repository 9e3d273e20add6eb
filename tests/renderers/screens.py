"""The first screen of one report as four readers get it: a terminal of 80 columns, without colour, a pipe, ASCII only."""

from tests.report import builders

from forgetaudit.policy import Policy, Rule, RuleKind
from forgetaudit.renderers.terminal import render
from forgetaudit.report.gate import judge
from forgetaudit.report.report import AuditReport


def report() -> AuditReport:
    """A drop over its limit, a layer below its CKA, and a name too long for a terminal."""
    long = "backbone." + ".".join(["encoder"] * 9) + ".block"
    parts = {
        "source": (builders.source(30, 5, 500),),
        "features": (builders.features(builders.drift("block1", 0.71), builders.drift(long, 1)),),
        "weights": (builders.weights(builders.layer("block1"), builders.layer(long)),),
    }
    policy = Policy(rules=(Rule(kind=RuleKind.ACCURACY, limit=0.02), Rule(kind=RuleKind.CKA, limit=0.8)))
    return builders.report(judge(policy, **parts), **parts)


def screens() -> dict[str, str]:
    """By the name of its golden file."""
    told = report()
    return {
        "screen-80-colour.txt": render(told, width=80, colour=True),
        "screen-80.txt": render(told, width=80),
        "screen-pipe.txt": render(told),
        "screen-ascii.txt": render(told, width=80, unicode=False),
    }
