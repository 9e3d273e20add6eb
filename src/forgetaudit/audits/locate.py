"""locate: which blocks carry the loss, by mixtures of base's and tuned's tensors over one stream."""

from contextlib import ExitStack
from dataclasses import dataclass

from forgetaudit.audits.inputs import OpenedData, describe_file, open_data
from forgetaudit.audits.locating import Work, previewed, rolled_back
from forgetaudit.audits.network import Network, build_network
from forgetaudit.audits.players import find_players
from forgetaudit.audits.preview import refuse_without_loss
from forgetaudit.audits.provenance import Clock, versions
from forgetaudit.audits.weighing import Weighed, weigh, weight_section
from forgetaudit.errors import MismatchError, UsageError
from forgetaudit.models.opening import Family
from forgetaudit.plan import AuditPlan
from forgetaudit.progress import SILENT, Progress
from forgetaudit.report.inputs import Inputs, VariantName
from forgetaudit.report.locate_findings import locate_findings
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import Verdict

__all__ = ["LocatePlan", "locate", "refuse"]

PERMUTATIONS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatePlan:
    """A comparison of one tuned checkpoint with base, and how many orders Shapley values are sampled from.

    With `preview` nothing is rolled back: gradients share out the rise in log loss.
    """

    audit: AuditPlan
    permutations: int = PERMUTATIONS
    preview: bool = False


def refuse(plan: LocatePlan) -> None:
    """UsageError for what cannot be located, before anything is opened."""
    if len(plan.audit.tuned) != 1:
        raise UsageError(
            f"locate is for one tuned checkpoint, and there are {len(plan.audit.tuned)}",
            hint="run it for each, or forgetaudit trace for a run",
        )
    if not plan.audit.data:
        raise UsageError("locate needs --data: held-out examples of the source task", hint="pass --data DATA")
    if plan.permutations and not 8 <= plan.permutations <= 10_000:
        raise UsageError(
            f"--permutations {plan.permutations}: an interval needs 8 orders or more",
            hint="pass 8, or 0 for none",
        )
    if plan.preview and plan.permutations != PERMUTATIONS:
        raise UsageError(
            "--permutations is for rollbacks, and with --preview there are none",
            hint="leave out one of the two",
        )


def locate(plan: LocatePlan, *, progress: Progress = SILENT) -> AuditReport:
    """Which blocks carry the loss. AuditError where it cannot be told: identical checkpoints, base at chance."""
    refuse(plan)
    audit, clock = plan.audit, Clock()
    with ExitStack() as files:
        data = [open_data(one, audit.settings) for one in audit.data]
        _refuse_unlabelled(data)
        family = Family(audit)
        base = files.enter_context(family.open_base())
        tuned = files.enter_context(family.open_tuned(audit.tuned[0]))
        weighed = weigh(
            "tuned",
            base,
            tuned,
            audit.policy,
            progress,
            model_names=family.model_names,
            vocabulary=family.vocabulary,
        )
        _refuse_identical(weighed)
        clock.lap("weights")
        network = build_network(family.architecture, audit, base, {"tuned": tuned})
        data = [one.for_network(network, audit.settings.task) for one in data]
        players = find_players(network, audit.settings.layers)
        if not players:
            raise MismatchError(
                "tuned is base in every tensor that the network uses, so that there is no loss to locate",
                hint="check that TUNED is the file you meant",
            )
        clock.lap("model")
        if plan.preview:
            for one in data:
                refuse_without_loss(one)
        work = Work(
            network=network, players=players, weighed=weighed, settings=audit.settings, progress=progress
        )
        found = [
            previewed(one, work) if plan.preview else rolled_back(one, work, plan.permutations)
            for one in data
        ]
        clock.lap("examples")
        weights = weight_section(weighed, network)
        sections = tuple(section for section, _ in found)
        return AuditReport(
            command="locate",
            verdict=Verdict(outcome="not-judged", exit_code=0, rules=()),
            inputs=Inputs(
                base=describe_file("base", base, audit.settings, named=audit.base),
                tuned=(describe_file("tuned", tuned, audit.settings, named=audit.tuned[0]),),
                model=network.described,
                data=tuple(one.described() for one in data),
                settings=_settings(plan, network),
                versions=versions("torch"),
            ),
            variants=(VariantName(name="base"), VariantName(name="tuned", grafted=network.grafted["tuned"])),
            source=tuple(source for _, source in found),
            features=Absent(not_measured="locate reads no features"),
            weights=(weights,),
            locate=sections,
            findings=tuple(locate_findings(sections)),
            run=clock.laps(),
        )


def _refuse_unlabelled(data: list[OpenedData]) -> None:
    for one in data:
        if not one.examples.labelled and not one.examples.of_text:
            raise UsageError(
                f"locate needs to know which answers are right, and {one.plan.name} has no labels",
                hint="name the column that says it: --label-column NAME",
            )


def _refuse_identical(weighed: Weighed) -> None:
    if weighed.identical:
        raise MismatchError(
            "tuned is base, bit for bit, so that there is no loss to locate",
            hint="check that TUNED is the file you meant",
        )


def _settings(plan: LocatePlan, network: Network) -> dict[str, object]:
    asked = plan.audit.settings
    return {
        "device": network.device.type,
        "dtype": str(network.dtype).removeprefix("torch."),
        "batch_size": asked.batch_size,
        "threads": network.threads,
        "seed": asked.seed,
        "limit": asked.limit,
        "head": asked.head,
        "reuse": asked.reuse,
        **({"preview": True} if plan.preview else {"permutations": plan.permutations}),
        **({"group_by": asked.group_by} if asked.group_by else {}),
    }
