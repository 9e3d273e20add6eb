"""Names and texts as a file could hold them, meant to be obeyed; and a report in which they stand everywhere."""

from typing import Any

from tests.report import builders

from forgetaudit.judge.gate import judge
from forgetaudit.policy import Policy, Rule, RuleKind
from forgetaudit.report.behaviour import ClassResult, ExamplePreview, LostExample, RivalSection, ScoreSection
from forgetaudit.report.inputs import DataInput, VariantName
from forgetaudit.report.parts import Absent, Estimate
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import Finding

NAMES = (
    "<script>alert(1)</script>",
    "</template></td></table><img src=x onerror=alert(1)>",
    "'\"><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "![x](https://evil.example/x.png)",
    "[click](javascript:alert(1)) <https://evil.example>",
    "https://evil.example www.evil.example a@evil.example",
    "@everyone #123 GH-123 org/repo#1 :tada:",
    "a | b || c",
    "``` `code` ````",
    "**bold** _it_ ~~no~~ # head $x$",
    "line\n::error file=x::boom\r\n::stop-commands::x",
    "::error::boom",
    "##[error]boom",
    "\x1b[31mred\x1b]0;title\x07\x08\x00",
    "=HYPERLINK(\"https://evil.example\")",
    "+1+1",
    "-1+cmd|' /C calc'!A1",
    "@SUM(A1)",
    "a,b\"c\"\t;d",
    "]]> -->  <!-- -- &amp; &#60;",
    "100%25 %0A%0D",
    "right \u202eto left\u2066\u2069 \u200b zero",
    "\ufffe\uffff\u0085\u2028nel",
    "back\\slash\\",
    "x" * 5000,
)  # fmt: skip


def drop(value: float) -> Estimate:
    return Estimate(
        kind="statistical",
        estimate=value,
        low=value - 0.1,
        high=value + 0.1,
        confidence=0.95,
        sides=2,
        method="tango",
    )


def report(names: tuple[str, ...] = NAMES) -> AuditReport:
    """A report that has each of `names` wherever a name out of a file can stand."""
    text = names[0]
    classes = tuple(
        ClassResult(label=at, name=name, n=20, base=0.9, tuned=0.8, drop=drop(0.1), adjusted_p=0.01)
        for at, name in enumerate(names)
    )
    source = builders.source(30, 5, 500).model_copy(
        update={"data": text, "per_class": classes, "metric": names[3], "unit": "example"}
    )
    features = builders.features(*(builders.drift(name, 0.9) for name in names)).model_copy(
        update={"data": text}
    )
    weights = builders.weights(
        *(builders.layer(name) for name in names),
        rows=tuple(builders.row(name) for name in names),
        alignment=names,
        resolution=text,
    )
    rules = (
        Rule(kind=RuleKind.ACCURACY, limit=0.02),
        Rule(kind=RuleKind.CKA, limit=0.95),
        Rule(kind=RuleKind.FROZEN, patterns=("*",)),
    )
    measured: dict[str, Any] = {"source": (source,), "features": (features,), "weights": (weights,)}
    standard = builders.report(judge(Policy(rules=rules), **measured), **measured)
    return standard.model_copy(update=_further(standard, names))


def _further(standard: AuditReport, names: tuple[str, ...]) -> dict[str, Any]:
    text = names[0]
    files = tuple(
        standard.inputs.tuned[0].model_copy(update={"path": name, "notes": names}) for name in names[:1]
    )
    told = DataInput(data=text, where=text, n=500, fingerprint="f" * 64, classes=None, decisions=names)
    inputs = standard.inputs.model_copy(
        update={"tuned": files, "data": (told,), "settings": {"device": "cpu", "dtype": text, "seed": 0}}
    )
    scores = tuple(
        ScoreSection(
            data=text, variant="tuned", metric=name, unit=name, n=9, base=1, tuned=2, increase=drop(1)
        )
        for name in names
    )
    lost = tuple(
        LostExample(
            data=text, variant="tuned", id=name, row=at, group=None, n=1, n_right_base=1, n_right_tuned=0, wanted=name,
            base=name, tuned=name, confidence=0.9, nll_increase=0.5, preview=ExamplePreview(kind=kind, content=name),
        )
        for at, name in enumerate(names) for kind in ("text", "image")
    )  # fmt: skip
    findings = tuple(
        Finding(id="classes-fell", title=name, severity="high", confidence="high", variant="tuned", data=text, advice=name, docs="")
        for name in names
    )  # fmt: skip
    rivals = tuple(
        RivalSection(
            data=name, first=name, second=name, n=9, only_first_right=1, only_second_right=2,
            advantage_of_first=drop(0.5), mcnemar=Absent(not_measured=name),
        )
        for name in names
    )  # fmt: skip
    return {
        "inputs": inputs, "scores": scores, "lost": lost, "findings": findings, "rivals": rivals,
        "variants": (VariantName(name="base"), VariantName(name="tuned")),
    }  # fmt: skip
