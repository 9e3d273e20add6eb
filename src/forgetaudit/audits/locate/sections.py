"""One data set of locate: every part rolled back, or the preview by gradients, as a section of the report."""

from collections.abc import Sequence
from dataclasses import dataclass

from forgetaudit.audits.answers import find_unusable, source_section
from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.locate.attribution import CONFIDENCE, Blame, design_for, wanted_mixtures
from forgetaudit.audits.locate.example_scores import paired_increase
from forgetaudit.audits.locate.parts import NetworkPart, find_stretches
from forgetaudit.audits.locate.preview import NODES, GradientWalk, preview_section, refuse_unrepeatable
from forgetaudit.audits.locate.rollbacks import Mixture, Mixtures, evaluate
from forgetaudit.audits.network import Network
from forgetaudit.audits.paired_sums import EvaluationSums, Watcher
from forgetaudit.audits.weight_diff import WeightDiff
from forgetaudit.engine.variants import slots
from forgetaudit.errors import DataError
from forgetaudit.inference.shapley import ShapleyDesign
from forgetaudit.models.layers import find_layers
from forgetaudit.plan import Settings
from forgetaudit.progress import Progress
from forgetaudit.report.behaviour import SourceSection
from forgetaudit.report.locate import LocateSection
from forgetaudit.report.parts import Absent, estimate_from
from forgetaudit.values import NotMeasured
from forgetaudit.weights.changes import WeightChanges
from forgetaudit.weights.groups import layer_of, total

__all__ = ["Work", "previewed", "rolled_back"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is the same for every data set."""

    network: Network
    players: tuple[NetworkPart, ...]
    weighed: WeightDiff
    settings: Settings
    progress: Progress

    def evaluate(
        self, data: OpenedData, wanted: set[Mixture], watchers: Sequence[Watcher] = ()
    ) -> tuple[Mixtures, SourceSection]:
        """Base, tuned and the wanted mixtures on the data. DataError where base's answers say nothing."""

        def refuse_unusable(ledger: EvaluationSums) -> None:
            if unusable := find_unusable(ledger, data):
                raise DataError(
                    f"nothing can be located on {data.plan.name}: {unusable.reason}",
                    hint="check the data, their labels and their preprocessing",
                )

        moved = frozenset().union(*(player.slots for player in self.players))
        found = evaluate(
            wanted, moved, self.network, data, self.settings, self.progress, refuse_unusable, watchers
        )
        tally, grouped_by = found.ledger.tallies["tuned"], self.settings.group_by
        return found, source_section("tuned", tally, data, known=False, unusable=None, grouped_by=grouped_by)

    def relative(self) -> dict[str, float | Absent]:
        """By player ‖Δ‖/‖θ₀‖ over its tensors, from the files."""
        return {player.name: self._relative(player) for player in self.players}

    def _relative(self, player: NetworkPart) -> float | Absent:
        names = self.network.base_names
        rows = tuple(
            row for row in self.weighed.changes.tensors if names.get(row.name, row.name) in player.slots
        )
        relative = total(WeightChanges(tensors=rows)).relative
        return Absent(not_measured=relative.reason) if isinstance(relative, NotMeasured) else relative

    def unmoved(self) -> tuple[str, ...]:
        """The layers whose every parameter is bit-identical."""
        network, patterns = self.network, self.settings.layers
        layers = network.layers if patterns else find_layers(network.skeleton, most=1 << 30)
        # A tied tensor plays in one part, and moved in all.
        still = network.variants[0].tensors.keys() - frozenset().union(*(p.slots for p in self.players))
        parameters = {name for name, slot in slots(network.skeleton).items() if slot.is_parameter}
        names = [layer.name for layer in layers]
        mine = {name: {slot for slot in parameters if layer_of(slot, names) == name} for name in names}
        return tuple(name for name in names if mine[name] and mine[name] <= still)


def rolled_back(data: OpenedData, work: Work, permutations: int) -> tuple[LocateSection, SourceSection]:
    """Every part rolled back and kept alone, and Shapley values from that many orders."""
    players = work.players
    design = design_for(len(players), permutations, work.settings.seed)
    stretches = find_stretches(work.network, players)
    found, source = work.evaluate(data, wanted_mixtures(players, stretches, design))
    blame = Blame(players=players, mixtures=found, design=design)
    rows = tuple(blame.rows(work.relative()))
    return LocateSection(
        data=data.plan.name,
        n=source.n,
        unit=source.unit,
        n_groups=source.groups.n if source.groups else None,
        base=source.accuracy.base,
        tuned=source.accuracy.tuned,
        drop=source.accuracy.drop,
        players=rows,
        unmoved=work.unmoved(),
        resets=tuple(blame.resets(stretches)),
        sums=blame.sums(rows),
        orders=_orders(design, len(players)),
        n_variants=len(found.names),
    ), source


def previewed(data: OpenedData, work: Work) -> tuple[LocateSection, SourceSection]:
    """Base and tuned, and gradients on the way from the one to the other."""
    walk = GradientWalk(work.network, work.players, data)
    # Before the first gradient is taken, and once more for what showed later.
    found, source = work.evaluate(data, set(), [lambda *_: refuse_unrepeatable(data), walk.take_in])
    refuse_unrepeatable(data)
    rise = estimate_from(paired_increase(found.answered, "base", "tuned", CONFIDENCE))
    return LocateSection(
        data=data.plan.name,
        n=source.n,
        unit=source.unit,
        n_groups=source.groups.n if source.groups else None,
        base=source.accuracy.base,
        tuned=source.accuracy.tuned,
        drop=source.accuracy.drop,
        players=(),
        unmoved=work.unmoved(),
        resets=(),
        sums=Absent(not_measured="a preview rolls nothing back"),
        orders="none (--preview)",
        n_variants=len(found.names) + NODES,
        preview=preview_section(walk, work.players, rise, work.relative()),
    ), source


def _orders(design: ShapleyDesign | None, n_players: int) -> str:
    if design is None:
        return "none (--permutations 0)"
    if design.exact:
        return f"all {2**n_players} coalitions"
    return f"{2 * len(design.draws)} of {n_players}! orders, each with its reverse"
