"""weights BASE TUNED…: how far every tensor moved and what was done to it; from the files alone."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from forgetaudit import planning
from forgetaudit.cli import budget_options, console, options
from forgetaudit.cli.outputs import OutputRequest, parse_outputs, refuse_inputs, write_outputs
from forgetaudit.errors import OutputError, UsageError
from forgetaudit.models.evidence import is_adapter
from forgetaudit.plan import AuditPlan, Settings
from forgetaudit.policy import RuleKind
from forgetaudit.renderers.headline import headlines
from forgetaudit.renderers.screen import decisions
from forgetaudit.renderers.terminal import render_lines
from forgetaudit.renderers.weights_table import weights_screen
from forgetaudit.report.gate import FAILED, INCONCLUSIVE, PASSED
from forgetaudit.report.report import AuditReport

__all__ = ["weights"]

Base = Annotated[
    Path, typer.Argument(metavar="BASE", help="The checkpoint that the fine-tune started from.", show_default=False)
]  # fmt: skip
Tuned = Annotated[
    list[Path] | None,
    typer.Argument(metavar="TUNED…", help="The fine-tuned checkpoint, or several.", show_default=False),
]
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
Whole = Annotated[bool, typer.Option("--hash", help="Hash checkpoints of over 1 GB, too.")]


def weights(
    base: Base,
    tuned: Tuned = None,
    by: By = "layer",
    hash_whole: Whole = False,
    steps: Steps = None,
    spectrum: Spectrum = False,
    log: budget_options.Log = None,
    optimizer: budget_options.Optimizer = None,
    lr: budget_options.Rate = None,
    train_steps: budget_options.TrainSteps = None,
    schedule: budget_options.ScheduleName = None,
    warmup: budget_options.Warmup = None,
    betas: budget_options.Betas = None,
    weight_decay: budget_options.Decay = None,
    momentum: budget_options.Momentum = None,
    clip: budget_options.Clip = None,
    dtype_written: budget_options.Written = None,
    more_steps: budget_options.MoreSteps = None,
    max_distance: options.MaxDistance = None,
    frozen: options.Frozen = None,
    no_fail: options.NoFail = False,
    config: options.ConfigFile = None,
    no_config: options.NoConfig = False,
    output: options.Output = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """How far every tensor moved, and what was done to it. Needs no data, no network and no GPU; any size."""
    requests = parse_outputs(output or [])
    settled = planning.load_config(config, ignore=no_config)
    policy = planning.plan_policy(
        planning.GateWords(max_distance=max_distance, frozen=tuple(frozen or ())), settled
    )
    budget = budget_options.plan_budget(
        log=log, optimizer=optimizer, lr=lr, train_steps=train_steps, schedule=schedule, warmup=warmup, betas=betas,
        weight_decay=weight_decay, momentum=momentum, clip=clip, dtype_written=dtype_written, more_steps=more_steps,
    )  # fmt: skip
    of_weights = tuple(rule for rule in policy.rules if rule.kind in (RuleKind.DISTANCE, RuleKind.FROZEN))
    alone = not tuned
    if alone and not is_adapter(base):
        raise UsageError(
            "TUNED is missing", hint="pass BASE and TUNED; only a PEFT adapter is measured alone"
        )
    if alone and (steps or spectrum or budget.is_asked):
        raise UsageError(
            "--steps, --spectrum and what tells of the run need BASE and TUNED",
            hint="pass the adapter's base, too",
        )
    tuned = tuned or [base]
    plan = AuditPlan(
        base=base,
        tuned=tuple(tuned),
        names=planning.variant_names(base, tuned),
        settings=Settings(hash_whole=hash_whole),
        policy=replace(policy, rules=of_weights),
        config=None if settled.path is None else settled.path.name,
    )
    refuse_inputs(
        requests,
        (base, *tuned, *(() if log is None else (log,)), *(() if settled.path is None else (settled.path,))),
    )
    from forgetaudit.audits.forensics import open_steps
    from forgetaudit.audits.weights_only import compare_weights, measure_adapter

    progress = console.StderrProgress(quiet=quiet)
    if alone:
        report = measure_adapter(plan)
    else:
        report = compare_weights(
            plan, steps=open_steps(steps or ()), spectrum=spectrum, budget=budget, progress=progress
        )
    code = report.verdict.exit_code
    forgiven = no_fail and code in (FAILED, INCONCLUSIVE)
    exit_note = f"{PASSED} (--no-fail; the verdict asks for {code})" if forgiven else str(code)
    if verbose:
        for decision in decisions(report):
            console.note(decision)
    _tell(report, requests, exit_note, by=by, quiet=quiet)
    raise typer.Exit(PASSED if forgiven else code)


def _tell(
    report: AuditReport,
    requests: tuple[OutputRequest, ...],
    exit_note: str,
    *,
    by: Literal["layer", "tensor"],
    quiet: bool,
) -> None:
    """To the screen, then to the files asked for: a full disk must not cost both, nor a closed pipe."""
    width, colour, unicode = console.terminal_traits(sys.stdout)
    lines = weights_screen(report, exit_note, by=by)
    try:
        console.write_out(
            console.as_lines(headlines(report))
            if quiet
            else render_lines(lines, width=width, colour=colour, unicode=unicode)
        )
    except (BrokenPipeError, OutputError):
        _save(report, requests, exit_note)
        raise
    _save(report, requests, exit_note)


def _save(report: AuditReport, requests: tuple[OutputRequest, ...], exit_note: str) -> None:
    if written := write_outputs(report, requests, exit_note):
        console.note(f"wrote {', '.join(written)}")
