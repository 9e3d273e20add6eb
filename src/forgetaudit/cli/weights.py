"""weights BASE TUNED…: how far every tensor moved and what was done to it; from the files alone."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from forgetaudit import planning
from forgetaudit.cli import console, options
from forgetaudit.cli.budget_options import Training, plan_budget
from forgetaudit.cli.deliver import deliver
from forgetaudit.cli.gate_options import Gate
from forgetaudit.cli.option_groups import Only, Without, expand_groups
from forgetaudit.cli.output_options import OutputOptions
from forgetaudit.cli.outputs import refuse_inputs
from forgetaudit.errors import UsageError
from forgetaudit.models.evidence import is_adapter
from forgetaudit.plan import AuditPlan, Settings
from forgetaudit.policy import RuleKind
from forgetaudit.renderers.backends.terminal import lines
from forgetaudit.renderers.lines import Line
from forgetaudit.renderers.views import weights as view
from forgetaudit.report.report import AuditReport

__all__ = ["weights"]

By = Annotated[
    Literal["layer", "tensor"],
    typer.Option("--by", help="A line a layer, or a line a tensor.", rich_help_panel="Output"),
]
Steps = Annotated[
    list[str] | None,
    typer.Option(
        "--steps",
        metavar="'run/checkpoint-*'",
        help="Checkpoints of the run: is TUNED one of them, or a mixture? Repeatable.",
    ),
]
Spectrum = Annotated[
    bool,
    typer.Option("--spectrum", help="Also the spectrum of every changed matrix: ranks, intruder dimensions."),
]
Which = Annotated[
    Literal["ema", "raw"] | None,
    typer.Option(
        "--weights",
        help="Which weights of a training checkpoint that holds both: averaged (EMA) or raw; raw otherwise.",
    ),
]
Whole = Annotated[bool, typer.Option("--hash", help="Hash checkpoints of over 1 GB, too.")]


@expand_groups
def weights(
    base: options.Base,
    tuned: options.EveryTuned = None,
    by: By = "layer",
    hash_whole: Whole = False,
    which: Which = None,
    steps: Steps = None,
    spectrum: Spectrum = False,
    *,
    trained: Training,
    gate: Annotated[Gate, Only("max_distance", "frozen", "no_fail")],
    telling: Annotated[OutputOptions, Without("examples", "rehearsal", "no_samples", "dry_run")],
) -> None:
    """How far every tensor moved, and what was done to it. Needs no data, no network and no GPU; any size."""
    requests, settled = telling.requests(), telling.settled()
    policy = planning.plan_policy(gate, settled)
    budget = plan_budget(trained)
    of_weights = tuple(rule for rule in policy.rules if rule.kind in (RuleKind.DISTANCE, RuleKind.FROZEN))
    alone = not tuned
    if alone:
        _refuse_alone(base, more_asked=bool(steps or spectrum or which or budget.is_asked))
    tuned = tuned or [base]
    plan = AuditPlan(
        base=base,
        tuned=tuple(tuned),
        names=planning.variant_names(base, tuned),
        settings=Settings(hash_whole=hash_whole, weights=which),
        policy=replace(policy, rules=of_weights),
        config=settled.name,
    )
    refuse_inputs(requests, (*plan.inputs(), *([] if trained.log is None else [trained.log]), *settled.files))
    from forgetaudit.audits.forensics import open_steps
    from forgetaudit.audits.weights_only import compare_weights, measure_adapter

    if alone:
        report = measure_adapter(plan)
    else:
        progress = console.StderrProgress(quiet=telling.quiet)
        report = compare_weights(
            plan, steps=open_steps(steps or ()), spectrum=spectrum, budget=budget, progress=progress
        )

    def screen(found: AuditReport, exit_note: str) -> Iterator[Line]:
        return lines(view.blocks(found, exit_note, by=by))

    raise typer.Exit(deliver(report, requests, telling, no_fail=gate.no_fail, screen=screen))


def _refuse_alone(base: Path, *, more_asked: bool) -> None:
    if not is_adapter(base):
        raise UsageError(
            "TUNED is missing", hint="pass BASE and TUNED; only a PEFT adapter is measured alone"
        )
    if more_asked:
        raise UsageError(
            "--steps, --spectrum, --weights and what tells of the run need BASE and TUNED",
            hint="pass the adapter's base, too",
        )
