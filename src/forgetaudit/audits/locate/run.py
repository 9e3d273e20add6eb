"""locate: which blocks carry the loss, by mixtures of base's and tuned's tensors over one stream."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from forgetaudit.audits.gaps import gap_findings
from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.locate.parts import NetworkPart, find_players
from forgetaudit.audits.locate.preview import refuse_without_loss
from forgetaudit.audits.locate.sections import Work, previewed, rolled_back
from forgetaudit.audits.network import Network, build_network
from forgetaudit.audits.pair import Pair, open_pair
from forgetaudit.audits.provenance import Clock, versions
from forgetaudit.audits.weight_diff import WeightDiff, weight_section
from forgetaudit.errors import MismatchError, UsageError
from forgetaudit.judge.locate_findings import locate_findings
from forgetaudit.plan import AuditPlan
from forgetaudit.progress import SILENT, Progress
from forgetaudit.report.behaviour import SourceSection
from forgetaudit.report.inputs import Inputs, VariantName
from forgetaudit.report.locate import LocateSection
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
        pair = open_pair("locate", audit, files, progress)
        weighed = pair.weigh()
        _refuse_identical(weighed)
        clock.lap("weights")
        network = build_network(pair.family.architecture, audit, pair.base, {"tuned": pair.tuned})
        data = [one.for_network(network, audit.settings.task) for one in pair.data]
        work = Work(
            network=network,
            players=_players(network, plan),
            weighed=weighed,
            settings=audit.settings,
            progress=progress,
        )
        clock.lap("model")
        if plan.preview:
            for one in data:
                refuse_without_loss(one)
        found = [
            previewed(one, work) if plan.preview else rolled_back(one, work, plan.permutations)
            for one in data
        ]
        clock.lap("examples")
        return _report(plan, pair, work, data, found, clock)


def _players(network: Network, plan: LocatePlan) -> tuple[NetworkPart, ...]:
    players = find_players(network, plan.audit.settings.layers)
    if not players:
        raise MismatchError(
            "tuned is base in every tensor that the network uses, so that there is no loss to locate",
            hint="check that TUNED is the file you meant",
        )
    return players


def _report(
    plan: LocatePlan,
    pair: Pair,
    work: Work,
    data: Sequence[OpenedData],
    found: Sequence[tuple[LocateSection, SourceSection]],
    clock: Clock,
) -> AuditReport:
    base, tuned = pair.described()
    network, sections = work.network, tuple(section for section, _ in found)
    return AuditReport(
        command="locate",
        verdict=Verdict(outcome="not-judged", exit_code=0, rules=()),
        inputs=Inputs(
            base=base,
            tuned=(tuned,),
            model=network.described,
            data=tuple(one.described() for one in data),
            settings=_settings(plan, network),
            versions=versions("torch"),
        ),
        variants=(VariantName(name="base"), VariantName(name="tuned", grafted=network.grafted["tuned"])),
        source=tuple(source for _, source in found),
        features=Absent(not_measured="locate reads no features"),
        weights=(weight_section(work.weighed, network),),
        locate=sections,
        findings=(*gap_findings(pair.base, {"tuned": pair.tuned}, network, data), *locate_findings(sections)),
        run=clock.laps(),
    )


def _refuse_identical(weighed: WeightDiff) -> None:
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
