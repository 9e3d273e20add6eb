"""repair: remedies tried on one half of the examples, the best confirmed on the other, and written."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch

from forgetaudit.audits.align_by_model import align_through_model
from forgetaudit.audits.behaviour import measure_behaviour
from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.lm_eval_tasks import is_of_harness
from forgetaudit.audits.network import Network, build_network, load_variant
from forgetaudit.audits.pair import Pair, open_pair
from forgetaudit.audits.provenance import Clock
from forgetaudit.audits.repair.candidates import Candidates
from forgetaudit.audits.repair.proposals import Proposals
from forgetaudit.audits.repair.report import REPAIRED, Opened, RepairPlan, SearchResult, SplitData, report_of
from forgetaudit.audits.repair.search import evaluate_baselines
from forgetaudit.audits.repair.trials import Trial, Trials
from forgetaudit.audits.repair.writing import (
    Output,
    refuse_reshaped,
    refuse_taken,
    refuse_tied,
    sources_of,
    stored_types,
)
from forgetaudit.audits.weight_diff import WeightDiff
from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.data.split_halves import split_halves
from forgetaudit.engine.variants import Variant
from forgetaudit.errors import UsageError
from forgetaudit.models.evidence import is_adapter
from forgetaudit.progress import SILENT, Progress
from forgetaudit.remedies.writing import Sources, refuse_unwritable
from forgetaudit.report.report import AuditReport

__all__ = ["RepairPlan", "refuse", "repair"]


def refuse(plan: RepairPlan) -> None:
    """UsageError, OutputError for what cannot be repaired as asked, before anything is opened."""
    audit = plan.audit
    source = [one for one in audit.data if one != plan.target]
    if len(source) != 1:
        problem = "there are none" if not source else f"there are {len(source)}"
        raise UsageError(
            f"repair needs one data set of the source task, and {problem}",
            hint="pass --data DATA once; what the fine-tune learned goes to --target",
        )
    if any(is_of_harness(one) for one in audit.data):
        raise UsageError(
            "repair cannot halve a task of lm-eval", hint="pass the examples themselves, as --data FILE"
        )
    refuse_taken(plan.out, audit.tuned[0], force=plan.force)


def repair(plan: RepairPlan, *, progress: Progress = SILENT) -> AuditReport:
    """The report on the remedy that was chosen; its section `repair` says what was tried, and where the result is.

    Written is only what meets every demand on the half that it was not chosen on. AuditError where it cannot be done
    as asked.
    """
    refuse(plan)
    clock = Clock()
    with ExitStack() as files:
        pair = open_pair("repair", plan.audit, files, progress)
        output = Output.of(plan.out, pair.plan.tuned[0], pair.tuned, force=plan.force)
        clock.lap("open")
        weighed = pair.weigh()
        if weighed.identical:
            raise UsageError(
                "tuned is base, bit for bit: there is nothing to repair", hint="was the right file passed?"
            )
        clock.lap("weights")
        opened, sources = _opened(plan, pair, weighed)
        clock.lap("model")
        searched = _search(opened, stored_types(sources, opened.network))
        best = searched.candidates.choose()
        clock.lap("search")
        if best is None:
            return report_of(opened, searched, None, None, clock)
        if output is None:
            made = searched.trials.variant(best.remedy)
            return _confirmed(opened, searched, best, made, None, clock)
        return output.written(
            sources,
            best.remedy,
            lambda path: _read_back(opened, searched, best, path, clock),
            progress,
        )


def _opened(plan: RepairPlan, pair: Pair, weighed: WeightDiff) -> tuple[Opened, Sources]:
    """All that a repair works with; MismatchError, OutputError, UsageError for weights that cannot be mixed."""
    names = pair.family.model_names
    alignment = align_through_model(pair.base, pair.tuned, names)
    sources = sources_of(pair.family, pair.base, pair.tuned, alignment)
    refuse_unwritable(sources)
    network = build_network(pair.family.architecture, plan.audit, pair.base, {"tuned": pair.tuned})
    sources = replace(sources, slots=sources.slots or _same_names(pair.tuned, network))
    refuse_reshaped(alignment, sources, network)
    refuse_tied(pair.family, pair.tuned, network)
    _refuse_other_head(plan, network)
    data = tuple(_halved(one, network, plan.audit.settings.task) for one in pair.data)
    return Opened(plan=plan, pair=pair, weighed=weighed, network=network, data=data), sources


def _refuse_other_head(plan: RepairPlan, network: Network) -> None:
    if plan.target is not None and network.grafted["tuned"]:
        raise UsageError(
            f"--target {plan.target.name}: tuned has a head of its own, and base's answers in its place",
            details=["what the remedy would cost the target cannot be told from base's head"],
            hint="leave --target out, or pass a fine-tune that kept base's classes",
        )


def _same_names(tuned: Checkpoint, network: Network) -> dict[str, str]:
    """Where nobody knows other names for a network's tensors than its own."""
    from forgetaudit.checkpoints.align import align_names

    shapes = {name: tuple(tensor.shape) for name, tensor in network.skeleton.state_dict().items()}
    found = align_names(shapes, {name: info.shape for name, info in tuned.tensors.items()})
    return {theirs: ours for ours, theirs in found.pairs}


def _halved(data: OpenedData, network: Network, task: str | None) -> SplitData:
    search, confirm = split_halves(data.examples, data.plan.name)
    return SplitData(
        whole=data.for_network(network, task),
        search=replace(data, examples=search).for_network(network, task),
        confirm=replace(data, examples=confirm).for_network(network, task),
    )


def _search(opened: Opened, stored: Mapping[str, torch.dtype]) -> SearchResult:
    plan, settings = opened.plan, opened.plan.audit.settings
    known = [
        evaluate_baselines(opened.network, one.search, settings, opened.pair.progress) for one in opened.data
    ]
    source, target = known[0], known[1] if plan.target is not None else None
    trials = Trials(opened.network, source, target, settings, opened.pair.progress, stored=stored)
    adapter = is_adapter(plan.audit.tuned[0])
    proposals = Proposals(trials=trials, keep_target=plan.keep_target, adapter=adapter)
    said = tuple(proposals.propose(plan.families))
    candidates = Candidates(tried=tuple(trials.tried), source=source, target=target, asked=plan.asked)
    return SearchResult(trials=trials, candidates=candidates, said=said)


def _read_back(opened: Opened, searched: SearchResult, best: Trial, made: Path, clock: Clock) -> AuditReport:
    """The confirmation of what was written, by its own bytes."""
    clock.lap("write")
    with opened.pair.family.open_tuned(made) as written:
        variant, _ = load_variant(
            opened.network,
            opened.pair.family.architecture,
            opened.plan.audit,
            REPAIRED,
            written,
            searched.trials.tuned,
        )
        return _confirmed(opened, searched, best, variant, written, clock)


def _confirmed(
    opened: Opened,
    searched: SearchResult,
    best: Trial,
    variant: Variant,
    written: Checkpoint | None,
    clock: Clock,
) -> AuditReport:
    network = replace(
        opened.network,
        variants=(searched.trials.base, searched.trials.tuned, replace(variant, name=REPAIRED)),
        grafted={**opened.network.grafted, REPAIRED: opened.network.grafted["tuned"]},
    )
    weighed = opened.weighed
    if written is not None:
        weighed = opened.pair.weigh(REPAIRED, written)
    plan = replace(
        opened.plan.audit,
        names=("tuned", REPAIRED),
        tuned=(opened.plan.audit.tuned[0],) * 2,
        policy=opened.plan.audit.policy,
    )
    behaviours = [
        measure_behaviour(
            network, one.confirm, plan, {"tuned": opened.weighed, REPAIRED: weighed}, opened.pair.progress
        )
        for one in opened.data
    ]
    clock.lap("confirm")
    confirmed = replace(opened, network=network, weighed=replace(weighed, name=REPAIRED))
    return report_of(confirmed, searched, best, behaviours, clock, from_files=written is not None)
