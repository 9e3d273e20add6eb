"""A repair in the report's form: the audit of the remedy that was chosen, and what was tried."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from forgetaudit.audits.behaviour import Behaviour
from forgetaudit.audits.gaps import gap_findings
from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.network import Network
from forgetaudit.audits.pair import Pair
from forgetaudit.audits.provenance import Clock, gate_settings, versions
from forgetaudit.audits.repair.candidates import Candidates, Requirements
from forgetaudit.audits.repair.confirming import confirmation, demands, not_chosen, unanswered
from forgetaudit.audits.repair.search import limits_of
from forgetaudit.audits.repair.trials import Trial, Trials
from forgetaudit.audits.weight_diff import WeightDiff, weight_section
from forgetaudit.judge.gate import judge
from forgetaudit.plan import AuditPlan, DataPlan
from forgetaudit.remedies.remedy import Remedy
from forgetaudit.report.inputs import Inputs, VariantName
from forgetaudit.report.parts import Absent, estimate_from
from forgetaudit.report.repair import RepairConfirmation, RepairDemand, RepairSection
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import Finding

__all__ = ["NO_TARGET", "REPAIRED", "Opened", "RepairPlan", "SearchResult", "SplitData", "report_of"]

NO_TARGET = "no target data were passed (--target)"
REPAIRED = "repaired"
OWN_HEAD = "base's head answered; tuned's own head stays as it is, and what it answers now was not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairPlan:
    """One tuned checkpoint to be repaired, and what is asked of the result.

    `audit` has the source data, and the target's after them. `out` is where the result goes; None: nothing is written.
    At most `keep_target` of target accuracy may be lost, at least `win_back` of the lost points is to be won back:
    see `forgetaudit.audits.repair.candidates.Asked`.
    """

    audit: AuditPlan
    target: DataPlan | None
    out: Path | None
    force: bool
    families: tuple[str, ...]
    keep_target: float
    win_back: float | None

    @property
    def asked(self) -> Requirements:
        """What is asked of a remedy."""
        return Requirements(
            keep_target=self.keep_target, win_back=self.win_back, confidence=self.audit.policy.confidence
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitData:
    """One data set, its halves each with the task."""

    whole: OpenedData
    search: OpenedData
    confirm: OpenedData


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """All that a repair works with."""

    plan: RepairPlan
    pair: Pair
    weighed: WeightDiff
    network: Network
    data: tuple[SplitData, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What was tried, and `said` of the families that had nothing to try."""

    trials: Trials
    candidates: Candidates
    said: tuple[str, ...]


def report_of(
    opened: Opened,
    searched: SearchResult,
    best: Trial | None,
    behaviours: list[Behaviour] | None,
    clock: Clock,
    *,
    from_files: bool = False,
) -> AuditReport:
    """Of what was chosen, on the confirming half; of tuned, where nothing was. `from_files`: what was written."""
    audit, network = opened.plan.audit, opened.network
    base, tuned = opened.pair.described()
    name = REPAIRED if best is not None else "tuned"
    why = Absent(not_measured="no remedy was chosen, so none was confirmed")
    source = why if behaviours is None else tuple(s for s in behaviours[0].source if s.variant == name)
    features = why if behaviours is None else tuple(f for f in behaviours[0].features if f.variant == name)
    weights = (
        (weight_section(opened.weighed, network),)
        if best is None or from_files
        else Absent(not_measured="the remedy was not written")
    )
    # The searched half was read many times over, which its counts would tell.
    data = [one.search if behaviours is None else one.confirm for one in opened.data]
    gaps = gap_findings(
        opened.pair.base, {"tuned": opened.pair.tuned}, network, data, renamed={"tuned": name}
    )
    verdict = judge(
        audit.policy,
        source=source,
        features=features,
        weights=weights,
        gaps=gaps,
        variants=[name],
        today=clock.today,
    )
    return AuditReport(
        command="repair",
        verdict=verdict,
        inputs=Inputs(
            base=base,
            tuned=(tuned,),
            model=network.described,
            data=tuple(one.whole.described() for one in opened.data),
            settings={
                "device": network.device.type,
                "dtype": str(network.dtype).removeprefix("torch."),
                "batch_size": audit.settings.batch_size,
                "threads": network.threads,
                "seed": audit.settings.seed,
                "limit": audit.settings.limit,
                "head": audit.settings.head,
                "reuse": audit.settings.reuse,
                "gate": gate_settings(audit.policy),
            },
            versions=versions("torch"),
        ),
        variants=(VariantName(name="base"), VariantName(name=name, grafted=network.grafted[name])),
        source=source,
        features=features,
        weights=weights,
        repair=_section(
            opened, searched, best, behaviours, gaps, from_files=from_files, failed=verdict.outcome
        ),
        findings=gaps,
        run=clock.laps(),
    )


def _section(
    opened: Opened,
    searched: SearchResult,
    best: Trial | None,
    behaviours: list[Behaviour] | None,
    gaps: Sequence[Finding],
    *,
    from_files: bool,
    failed: str,
) -> RepairSection:
    plan, candidates = opened.plan, searched.candidates
    target = None if plan.target is None else plan.target.name
    lost = estimate_from(limits_of(candidates.lost(), confidence=0.95, sides=2))
    confirmed: RepairConfirmation | Absent
    judged: tuple[RepairDemand, ...]
    if behaviours is None or best is None:
        confirmed, judged = Absent(not_measured="no remedy was chosen"), not_chosen(candidates, lost)
    else:
        confirmed = confirmation(behaviours, target, from_files=from_files)
        judged = (
            *demands(behaviours, candidates.asked, target, outcome=failed),
            *unanswered(gaps),
        )
    met = all(one.met for one in judged)
    return RepairSection(
        families=plan.families,
        tuned_name=plan.audit.tuned[0].name,
        n_search=len(opened.data[0].search.examples),
        n_confirm=len(opened.data[0].confirm.examples),
        lost=lost,
        target=target or Absent(not_measured=NO_TARGET),
        keep_target=plan.keep_target if target else None,
        win_back=plan.win_back,
        ends=tuple(candidates.ends()),
        candidates=candidates.table(),
        chosen=None if best is None else best.remedy.name,
        strengths={} if best is None else _strengths(searched.trials, best.remedy),
        edited=() if best is None else tuple(best.remedy.edits),
        confirmed=confirmed,
        demands=judged,
        met=met,
        written=str(plan.out) if met and plan.out is not None else None,
        form=None,
        notes=tuple(_notes(opened, searched, best)),
    )


def _strengths(trials: Trials, remedy: Remedy) -> dict[str, tuple[float, float]]:
    """Of every part that moved."""
    found = {}
    for part in trials.parts_that_moved():
        values = [remedy.strength(slot) for slot in trials.depths.slots_of(part) if slot in trials.moved]
        found[part] = (min(values), max(values))
    return found


def _notes(opened: Opened, searched: SearchResult, best: Trial | None) -> Iterator[str]:
    if best is not None and best.remedy.said:
        yield best.remedy.said
    if opened.network.grafted["tuned"]:
        yield OWN_HEAD
    yield from searched.said
