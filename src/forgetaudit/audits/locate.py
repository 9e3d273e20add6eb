"""locate: which blocks carry the loss, by mixtures of base's and tuned's tensors over one stream."""

from contextlib import ExitStack
from dataclasses import dataclass

from forgetaudit.audits.answers import find_unusable, source_section
from forgetaudit.audits.blame import Blame, design_for, wanted_mixtures
from forgetaudit.audits.inputs import OpenedData, describe_file, open_data
from forgetaudit.audits.ledger import Ledger
from forgetaudit.audits.network import Network, build_network
from forgetaudit.audits.players import Player, find_players, find_stretches
from forgetaudit.audits.provenance import Clock, versions
from forgetaudit.audits.rollbacks import evaluate
from forgetaudit.audits.weighing import Weighed, weigh, weight_section
from forgetaudit.engine.variants import slots
from forgetaudit.errors import DataError, MismatchError, UsageError
from forgetaudit.inference.shapley import ShapleyDesign
from forgetaudit.models.layers import find_layers
from forgetaudit.models.opening import Family
from forgetaudit.plan import AuditPlan
from forgetaudit.progress import SILENT, Progress
from forgetaudit.report.behaviour import SourceSection
from forgetaudit.report.inputs import Inputs, VariantName
from forgetaudit.report.locate import LocateSection
from forgetaudit.report.locate_findings import locate_findings
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import Verdict
from forgetaudit.values import NotMeasured
from forgetaudit.weights.changes import WeightChanges
from forgetaudit.weights.groups import layer_of, total

__all__ = ["LocatePlan", "locate", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatePlan:
    """A comparison of one tuned checkpoint with base, and how many orders Shapley values are sampled from."""

    audit: AuditPlan
    permutations: int = 8


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
        found = [_on(one, network, players, weighed, plan, progress) for one in data]
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


def _on(
    data: OpenedData,
    network: Network,
    players: tuple[Player, ...],
    weighed: Weighed,
    plan: LocatePlan,
    progress: Progress,
) -> tuple[LocateSection, SourceSection]:
    settings = plan.audit.settings
    design = design_for(len(players), plan.permutations, settings.seed)
    stretches = find_stretches(network, players)
    moved = frozenset().union(*(player.slots for player in players))
    wanted = wanted_mixtures(players, stretches, design)

    def refuse_unusable(ledger: Ledger) -> None:
        if unusable := find_unusable(ledger, data):
            raise DataError(
                f"nothing can be located on {data.plan.name}: {unusable.reason}",
                hint="check the data, their labels and their preprocessing",
            )

    found = evaluate(wanted, moved, network, data, settings, progress, refuse_unusable)
    source = source_section(
        "tuned", found.ledger.tallies["tuned"], data, known=False, unusable=None, grouped_by=settings.group_by
    )
    blame = Blame(players=players, mixtures=found, design=design)
    rows = tuple(blame.rows({player.name: _relative(player, weighed, network) for player in players}))
    return LocateSection(
        data=data.plan.name,
        n=source.n,
        unit=source.unit,
        n_groups=source.groups.n if source.groups else None,
        base=source.accuracy.base,
        tuned=source.accuracy.tuned,
        drop=source.accuracy.drop,
        players=rows,
        unmoved=_unmoved(network, players, settings.layers),
        resets=tuple(blame.resets(stretches)),
        sums=blame.sums(rows),
        orders=_orders(design, len(players)),
        n_variants=len(found.names),
    ), source


def _relative(player: Player, weighed: Weighed, network: Network) -> float | Absent:
    """‖Δ‖/‖θ₀‖ over the tensors of a player, from the files."""
    names = network.base_names
    rows = tuple(row for row in weighed.changes.tensors if names.get(row.name, row.name) in player.slots)
    relative = total(WeightChanges(tensors=rows)).relative
    return Absent(not_measured=relative.reason) if isinstance(relative, NotMeasured) else relative


def _unmoved(network: Network, players: tuple[Player, ...], patterns: tuple[str, ...]) -> tuple[str, ...]:
    """The layers whose every parameter is bit-identical."""
    layers = network.layers if patterns else find_layers(network.skeleton, most=1 << 30)
    # A tied tensor plays in one part, and moved in all.
    still = network.variants[0].tensors.keys() - frozenset().union(*(player.slots for player in players))
    parameters = {name for name, slot in slots(network.skeleton).items() if slot.is_parameter}
    names = [layer.name for layer in layers]
    mine = {name: {slot for slot in parameters if layer_of(slot, names) == name} for name in names}
    return tuple(name for name in names if mine[name] and mine[name] <= still)


def _orders(design: ShapleyDesign | None, n_players: int) -> str:
    if design is None:
        return "none (--permutations 0)"
    if design.exact:
        return f"all {2**n_players} coalitions"
    return f"{2 * len(design.draws)} of {n_players}! orders, each with its reverse"


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
        "permutations": plan.permutations,
        **({"group_by": asked.group_by} if asked.group_by else {}),
    }
