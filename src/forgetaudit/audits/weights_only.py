"""weights: how far every tensor went from base to tuned, from the files alone: no data, no network, no torch."""

from contextlib import ExitStack

from forgetaudit.audits.files import describe_file
from forgetaudit.audits.provenance import Clock, gate_settings, versions
from forgetaudit.audits.weighing import weigh, weight_section
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.plan import AuditPlan
from forgetaudit.progress import SILENT, Progress
from forgetaudit.report.findings import Facts, find
from forgetaudit.report.gate import judge
from forgetaudit.report.inputs import Inputs, VariantName
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.report.weights import WeightSection

__all__ = ["compare_weights"]

_NOT_ASKED = "weights were compared, and no model was run (forgetaudit compare --data)"


def compare_weights(plan: AuditPlan, *, progress: Progress = SILENT) -> AuditReport:
    """Measure every tuned checkpoint of the plan against base, and judge the rules on weights.

    Every file is read once. AuditError where a file cannot be read, or is no version of base's network.
    """
    clock = Clock()
    with ExitStack() as files:
        base = files.enter_context(open_checkpoint(plan.base))
        tuned = {
            name: files.enter_context(open_checkpoint(path))
            for name, path in zip(plan.names, plan.tuned, strict=True)
        }
        clock.lap("open")
        sections = tuple(
            weight_section(weigh(name, base, other, plan.policy, progress), None)
            for name, other in tuned.items()
        )
        clock.lap("weights")
        inputs = Inputs(
            base=describe_file("base", base, plan.settings, named=plan.base),
            tuned=tuple(
                describe_file(name, other, plan.settings, named=path)
                for (name, other), path in zip(tuned.items(), plan.tuned, strict=True)
            ),
            model=Absent(not_measured=_NOT_ASKED),
            data=(),
            settings={"gate": gate_settings(plan.policy)},
            versions=versions("numpy"),
        )
        clock.lap("digest")
    return _report(plan, inputs, sections, clock)


def _report(
    plan: AuditPlan, inputs: Inputs, sections: tuple[WeightSection, ...], clock: Clock
) -> AuditReport:
    absent = Absent(not_measured=_NOT_ASKED)
    verdict = judge(plan.policy, source=absent, features=absent, weights=sections)
    variants = tuple(VariantName(name=name) for name in plan.names)
    facts = [
        Facts(variant=variant, weights=section, source=(), features=(), verdict=verdict)
        for variant, section in zip(variants, sections, strict=True)
    ]
    return AuditReport(
        command="weights",
        verdict=verdict,
        inputs=inputs,
        variants=(VariantName(name="base"), *variants),
        source=absent,
        features=absent,
        weights=sections,
        findings=tuple(finding for one in facts for finding in find(one)),
        run=clock.laps(),
    )
