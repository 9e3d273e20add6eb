"""The first screen of one report as four readers get it: a terminal of 80 columns, without colour, a pipe, ASCII only."""

from tests.report import builders

from forgetaudit.judge.gate import judge
from forgetaudit.judge.locate_findings import locate_findings
from forgetaudit.policy import Policy, Rule, RuleKind
from forgetaudit.renderers.terminal import render
from forgetaudit.report.locate import LocateSection, PreviewRow, PreviewSection
from forgetaudit.report.parts import Absent, Estimate
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import Verdict


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


def previewed(gap: float) -> AuditReport:
    """A rise of 1.16 nats shared out among three parts, whose shares miss it by `gap`."""
    rise = Estimate(
        kind="statistical", estimate=1.16, low=1.03, high=1.29, confidence=0.95, sides=2, method="x"
    )
    rows = tuple(
        PreviewRow(
            name=name, kind=kind, n_tensors=4, relative=relative, share=share, fraction=share / 1.16,
            interval=Estimate(kind="diagnostic", estimate=share, low=share - 0.06, high=share + 0.06, method="x"),
        )
        for name, kind, relative, share in (
            ("block1", "block", 0.123, 0.21), ("model.layers.12 … model.layers.13", "block", 0.157, 1.04 - gap),
            ("running statistics", "buffers", Absent(not_measured="buffers"), -0.09),
        )
    )  # fmt: skip
    section = LocateSection(
        data="val", n=500, unit="example", n_groups=None, base=0.9, tuned=0.65, drop=rise, players=(), unmoved=(),
        resets=(), sums=Absent(not_measured="a preview rolls nothing back"), orders="none (--preview)", n_variants=7,
        preview=PreviewSection(
            nodes=5, rise=rise, total=1.16 - gap, gap=gap, trusted=gap < 0.116, n_blocks=13, left_out=(), rows=rows
        ),
    )  # fmt: skip
    verdict = Verdict(outcome="not-judged", exit_code=0, rules=())
    findings = tuple(locate_findings([section]))
    return builders.report(verdict, command="locate", locate=(section,), findings=findings)


def previews() -> dict[str, str]:
    """The screens of `locate --preview`, by the name of the golden file."""
    return {
        "preview-80.txt": render(previewed(0.004), width=80),
        "preview-untrusted-80.txt": render(previewed(0.2), width=80),
        "preview-ascii.txt": render(previewed(0.004), width=80, unicode=False),
    }


def screens() -> dict[str, str]:
    """By the name of its golden file."""
    told = report()
    return {
        "screen-80-colour.txt": render(told, width=80, colour=True),
        "screen-80.txt": render(told, width=80),
        "screen-pipe.txt": render(told),
        "screen-ascii.txt": render(told, width=80, unicode=False),
    }
