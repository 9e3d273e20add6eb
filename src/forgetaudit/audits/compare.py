"""compare: what one or more tuned checkpoints forgot of the source task that base could do."""

from contextlib import ExitStack
from dataclasses import dataclass

from forgetaudit.audits.behaviour import Behaviour, measure_behaviour
from forgetaudit.audits.budget import measure_budget
from forgetaudit.audits.files import refuse_idle_choice
from forgetaudit.audits.forgotten_examples import refuse_unwritable, write_example_tables
from forgetaudit.audits.gaps import gap_findings, gaps_of_variant
from forgetaudit.audits.inputs import OpenedData, describe_file, open_data, refuse_other_kind
from forgetaudit.audits.lm_eval_tasks import LmEvalResult, is_of_harness, open_harness
from forgetaudit.audits.network import Network, build_network
from forgetaudit.audits.provenance import Clock, gate_settings, versions
from forgetaudit.audits.weight_diff import WeightDiff, diff_weights, weight_section
from forgetaudit.budget.plan import BudgetPlan
from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.judge.findings import FindingContext, find
from forgetaudit.judge.gate import judge
from forgetaudit.models.model_source import ModelSource
from forgetaudit.plan import AuditPlan
from forgetaudit.progress import SILENT, Progress
from forgetaudit.report.budget import BudgetAbsent, BudgetSection
from forgetaudit.report.inputs import Inputs, VariantName
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.weights.dequantise import as_values

__all__ = ["Kept", "compare"]

NO_DATA = "no data were passed (--data)"
NO_FEATURES = "lm-eval ran the models, and no features were read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What became of every example of each data set, to be written once the report has been told."""

    plan: AuditPlan
    behaviours: tuple[tuple[OpenedData, Behaviour], ...]

    def write(self) -> tuple[str, ...]:
        """What the plan asks for; the names of what was written. OutputError."""
        return tuple(
            name
            for data, behaviour in self.behaviours
            for name in write_example_tables(self.plan, behaviour.records, data)
        )


def compare(plan: AuditPlan, *, progress: Progress = SILENT) -> tuple[AuditReport, Kept]:
    """Compare every tuned checkpoint of the plan with base, on the same examples, and judge the result.

    Weights come before the model: they need none, and prove from the bytes what cannot have changed. AuditError where
    the audit cannot be done as asked.
    """
    refuse_unwritable(plan)
    clock = Clock()
    refuse_other_kind(plan)
    with ExitStack() as files:
        data = [open_data(one, plan.settings) for one in plan.data if not is_of_harness(one)]
        harnesses = [open_harness(one, plan) for one in plan.data if is_of_harness(one)]
        family = ModelSource(plan)
        base = files.enter_context(family.open_base())
        tuned = {
            name: files.enter_context(family.open_tuned(path))
            for name, path in zip(plan.names, plan.tuned, strict=True)
        }
        refuse_idle_choice(plan.settings.weights, (base, *tuned.values()))
        clock.lap("open")
        weighed = {
            name: diff_weights(
                name,
                base,
                other,
                plan.policy,
                progress,
                model_names=family.model_names,
                vocabulary=family.vocabulary,
            )
            for name, other in tuned.items()
        }
        budgets = [
            measure_budget(
                weighed[name], as_values(base), as_values(tuned[name]), path, BudgetPlan(), progress
            )
            for name, path in zip(plan.names, plan.tuned, strict=True)
        ]
        clock.lap("weights")
        network = _network(family, plan, base, tuned, progress) if plan.data else None
        data = [opened.for_network(network, plan.settings.task) for opened in data if network]
        clock.lap("model")
        behaviours = [
            measure_behaviour(network, opened, plan, weighed, progress) for opened in data if network
        ]
        answers = [one.ask(network, plan, progress) for one in harnesses if network]
        clock.lap("examples")
        report = _report(plan, base, tuned, weighed, network, data, behaviours, answers, clock, budgets)
        return report, Kept(plan=plan, behaviours=tuple(zip(data, behaviours, strict=True)))


def _network(
    family: ModelSource, plan: AuditPlan, base: Checkpoint, tuned: dict[str, Checkpoint], progress: Progress
) -> Network:
    architecture = family.architecture
    if plan.model is None or plan.model.evidence != "--model":
        progress.note(f"running {architecture.name}, named by {architecture.evidence}")
    return build_network(architecture, plan, base, tuned)


def _report(
    plan: AuditPlan,
    base: Checkpoint,
    tuned: dict[str, Checkpoint],
    weighed: dict[str, WeightDiff],
    network: Network | None,
    data: list[OpenedData],
    behaviours: list[Behaviour],
    answers: list[LmEvalResult],
    clock: Clock,
    budgets: list[BudgetSection | BudgetAbsent | None],
) -> AuditReport:
    """Everything measured, put together, judged, and looked through for findings."""
    absent = Absent(not_measured=NO_DATA)
    measured: tuple[Behaviour | LmEvalResult, ...] = (*behaviours, *answers)
    source = tuple(section for one in measured for section in one.source) if measured else absent
    features = (
        tuple(section for behaviour in behaviours for section in behaviour.features)
        if behaviours
        else Absent(not_measured=NO_FEATURES if answers else NO_DATA)
    )
    weights = tuple(weight_section(one, network) for one in weighed.values())
    variants = (VariantName(name="base"), *(_variant(name, plan, network) for name in plan.names))
    gaps = gap_findings(base, tuned, network, data)
    verdict = judge(
        plan.policy, source=source, features=features, weights=weights, gaps=gaps, today=clock.today
    )
    known = {one.variant: one for one in budgets if isinstance(one, BudgetSection)}
    facts = [
        FindingContext(
            variant=variant,
            weights=section,
            source=()
            if isinstance(source, Absent)
            else tuple(s for s in source if s.variant == variant.name and not s.unlabelled),
            features=()
            if isinstance(features, Absent)
            else tuple(f for f in features if f.variant == variant.name),
            verdict=verdict,
            budget=known.get(variant.name),
            gaps=gaps_of_variant(gaps, variant.name),
        )
        for variant, section in zip(variants[1:], weights, strict=True)
    ]
    return AuditReport(
        command="compare",
        verdict=verdict,
        inputs=Inputs(
            base=describe_file("base", base, plan.settings, named=plan.base),
            tuned=tuple(
                describe_file(name, other, plan.settings, named=path)
                for (name, other), path in zip(tuned.items(), plan.tuned, strict=True)
            ),
            model=network.described if network else Absent(not_measured=NO_DATA),
            data=(*(opened.described() for opened in data), *(told for one in answers for told in one.data)),
            settings=_settings(plan, network),
            versions=versions("torch") if network else versions(),
        ),
        variants=variants,
        source=source,
        features=features,
        rivals=tuple(section for behaviour in behaviours for section in behaviour.rivals),
        scores=tuple(section for one in measured for section in one.scores),
        lost=tuple(example for behaviour in behaviours for example in behaviour.lost),
        noise=tuple(floor for behaviour in behaviours for floor in behaviour.noise),
        weights=weights,
        budget=tuple(one for one in budgets if one is not None),
        findings=tuple(finding for one in facts for finding in find(one)),
        run=clock.laps(),
    )


def _variant(name: str, plan: AuditPlan, network: Network | None) -> VariantName:
    grafted = network.grafted[name] if network else ()
    return VariantName(name=name, grafted=grafted, graft_asked=bool(grafted) and plan.settings.head == "base")


def _settings(plan: AuditPlan, network: Network | None) -> dict[str, object]:
    """What was decided, not only what was asked: the same settings give the same numbers."""
    asked, gate = plan.settings, gate_settings(plan.policy)
    if network is None:
        return {"gate": gate}
    return {
        "device": network.device.type,
        "dtype": str(network.dtype).removeprefix("torch."),
        "batch_size": asked.batch_size,
        "threads": network.threads,
        "seed": asked.seed,
        "limit": asked.limit,
        "pool": asked.pool,
        "head": asked.head,
        "preprocess": asked.preprocess,
        "reuse": asked.reuse,
        **({"group_by": asked.group_by} if asked.group_by else {}),
        **({"strata": asked.strata} if asked.strata else {}),
        **({"stop_early": True} if asked.stop_early else {}),
        "gate": gate,
    }
