"""weights: how far every tensor went from base to tuned, from the files alone: no data, no network, no torch."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from forgetaudit.audits.adapter_weights import is_lora, weigh_lora, weigh_without_base
from forgetaudit.audits.budget import measure_budget
from forgetaudit.audits.files import describe_file, refuse_idle_choice
from forgetaudit.audits.forensics import examine
from forgetaudit.audits.gaps import gap_findings, gaps_of_variant
from forgetaudit.audits.provenance import Clock, gate_settings, versions
from forgetaudit.audits.weight_diff import diff_weights, weight_section
from forgetaudit.budget.plan import BudgetPlan
from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.checkpoints.shells import refuse_shells
from forgetaudit.judge.findings import FindingContext, find
from forgetaudit.judge.gate import judge
from forgetaudit.models.adapter_files import open_adapter_weights
from forgetaudit.models.evidence import is_adapter
from forgetaudit.plan import AuditPlan
from forgetaudit.progress import SILENT, Progress
from forgetaudit.report.budget import BudgetAbsent, BudgetSection
from forgetaudit.report.inputs import FileInput, Inputs, VariantName
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import Finding
from forgetaudit.report.weights import WeightSection
from forgetaudit.weights.dequantise import as_values

__all__ = ["compare_weights", "measure_adapter"]

_NOT_ASKED = "weights were compared, and no model was run (forgetaudit compare --data)"


def compare_weights(
    plan: AuditPlan,
    *,
    steps: Sequence[Path] = (),
    spectrum: bool = False,
    budget: BudgetPlan | None = None,
    progress: Progress = SILENT,
) -> AuditReport:
    """Measure every tuned checkpoint of the plan against base, and judge the rules on weights.

    `steps` are checkpoints of the run, of which tuned may be one, or a mixture; `budget` says where its log is. Every
    file is read once, but for the few rows that forensics look at, all of the changed matrices with `spectrum`, and
    again where weight decay gives each weight a drift budget of its own. LoRA is measured from its factors,
    other adapters as PEFT merges them. AuditError where a file cannot be read, or is no version of base's network.
    """
    clock = Clock()
    with ExitStack() as files:
        opened = _Opened(plan, files, budget or BudgetPlan())
        clock.lap("open")
        sections = tuple(
            opened.section(name, path, progress, steps=steps, spectrum=spectrum)
            for name, path in zip(plan.names, plan.tuned, strict=True)
        )
        clock.lap("weights")
        inputs = _inputs(
            plan,
            describe_file("base", opened.base, plan.settings, named=plan.base),
            [
                describe_file(name, opened.tuned[name], plan.settings, named=path)
                for name, path in zip(plan.names, plan.tuned, strict=True)
            ],
        )
        clock.lap("digest")
        gaps = gap_findings(opened.base, opened.tuned)
    return _report(plan, inputs, sections, clock, gaps, tuple(opened.budgets))


def measure_adapter(plan: AuditPlan) -> AuditReport:
    """The adapter that is the plan's only checkpoint, without its base: how long its change is, and of which rank."""
    clock = Clock()
    (path,), (name,) = plan.tuned, plan.names
    with open_adapter_weights(path) as adapter:
        sections = (weight_section(weigh_without_base(name, adapter).weighed, None),)
        described = describe_file(name, adapter, plan.settings, named=path)
    nothing = FileInput(
        name="base",
        path="(no base)",
        format="no base",
        bytes=0,
        digest=Absent(not_measured="no base was passed"),
    )
    clock.lap("weights")
    return _report(
        plan, _inputs(plan, nothing, [described]), sections, clock, gap_findings(adapter, {name: adapter})
    )


class _Opened:
    """Base and every tuned checkpoint, open as long as `files` is."""

    def __init__(self, plan: AuditPlan, files: ExitStack, budget: BudgetPlan) -> None:
        self._plan, self._budget = plan, budget
        self.budgets: list[BudgetSection | BudgetAbsent] = []
        self._factored = {
            path for path in plan.tuned if is_adapter(path) and not is_adapter(plan.base) and is_lora(path)
        }
        merged = any(is_adapter(path) for path in (plan.base, *plan.tuned) if path not in self._factored)
        if merged:
            # PEFT merges: this is what needs torch.
            from forgetaudit.models.model_source import ModelSource

            family = ModelSource(plan)
            self.base = files.enter_context(family.open_base())
            open_tuned = family.open_tuned
        else:
            open_tuned = partial(open_checkpoint, weights=plan.settings.weights)
            self.base = files.enter_context(open_tuned(plan.base))
        self.tuned: dict[str, Checkpoint] = {
            name: files.enter_context(
                open_adapter_weights(path) if path in self._factored else open_tuned(path)
            )
            for name, path in zip(plan.names, plan.tuned, strict=True)
        }
        refuse_idle_choice(plan.settings.weights, (self.base, *self.tuned.values()))
        for opened in (self.base, *self.tuned.values()):
            refuse_shells(opened)

    def section(
        self, name: str, path: Path, progress: Progress, *, steps: Sequence[Path], spectrum: bool
    ) -> WeightSection:
        base, tuned, policy = as_values(self.base), as_values(self.tuned[name]), self._plan.policy
        factors = None
        if path in self._factored:
            found = weigh_lora(name, base, tuned, policy, progress)
            weighed, factors = found.weighed, found.factors
        else:
            weighed = diff_weights(name, base, tuned, policy, progress)
        forensics = examine(
            weighed.changes, base, tuned, progress, factors=factors, steps=steps, spectrum=spectrum
        )
        if found_budget := measure_budget(weighed, base, tuned, path, self._budget, progress):
            self.budgets.append(found_budget)
        return weight_section(weighed, None, forensics)


def _inputs(plan: AuditPlan, base: FileInput, tuned: Sequence[FileInput]) -> Inputs:
    return Inputs(
        base=base,
        tuned=tuple(tuned),
        model=Absent(not_measured=_NOT_ASKED),
        data=(),
        settings={"gate": gate_settings(plan.policy)},
        versions=versions("numpy"),
    )


def _report(
    plan: AuditPlan,
    inputs: Inputs,
    sections: tuple[WeightSection, ...],
    clock: Clock,
    gaps: tuple[Finding, ...],
    budgets: tuple[BudgetSection | BudgetAbsent, ...] = (),
) -> AuditReport:
    absent = Absent(not_measured=_NOT_ASKED)
    verdict = judge(plan.policy, source=absent, features=absent, weights=sections, gaps=gaps)
    variants = tuple(VariantName(name=name) for name in plan.names)
    known = {one.variant: one for one in budgets if isinstance(one, BudgetSection)}
    facts = [
        FindingContext(
            variant=variant,
            weights=section,
            source=(),
            features=(),
            verdict=verdict,
            budget=known.get(variant.name),
            gaps=gaps_of_variant(gaps, variant.name),
        )
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
        budget=budgets,
        findings=tuple(finding for one in facts for finding in find(one)),
        run=clock.laps(),
    )
