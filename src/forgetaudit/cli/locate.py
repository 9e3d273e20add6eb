"""locate BASE TUNED: options to a plan, the plan to a report, the report to the screen; it judges nothing."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from forgetaudit import planning
from forgetaudit.cli import console, options
from forgetaudit.cli.dry_run import told as dry_run_lines
from forgetaudit.cli.outputs import OutputRequest, parse_outputs, refuse_inputs, write_outputs
from forgetaudit.errors import OutputError
from forgetaudit.plan import AuditPlan, Settings
from forgetaudit.renderers.locate_screen import located
from forgetaudit.renderers.screen import decisions
from forgetaudit.renderers.terminal import render
from forgetaudit.report.report import AuditReport

__all__ = ["locate"]

Base = Annotated[
    Path, typer.Argument(metavar="BASE", help="The checkpoint that the fine-tune started from.", show_default=False)
]  # fmt: skip
Tuned = Annotated[
    Path, typer.Argument(metavar="TUNED", help="The fine-tuned checkpoint.", show_default=False)
]
Parts = Annotated[
    list[str] | None,
    typer.Option("--layers", metavar="PATTERN", help="The parts to tell apart, as module paths. Repeatable."),
]
Permutations = Annotated[
    int,
    typer.Option(
        "--permutations",
        min=0,
        metavar="N",
        help="Orders that Shapley values are sampled from, where there are over 6 parts; 0 for none.",
    ),
]

Preview = Annotated[
    bool,
    typer.Option("--preview", help="Only gradients from base to tuned: a fast diagnostic, with its error."),
]


def locate(
    base: Base,
    tuned: Tuned,
    data: options.Data = None,
    permutations: Permutations = 8,
    preview: Preview = False,
    parts: Parts = None,
    model: options.Model = None,
    task: options.Task = None,
    input_column: options.InputColumn = None,
    label_column: options.LabelColumn = None,
    head: options.Head = "auto",
    limit: options.Limit = None,
    group_by: options.GroupBy = None,
    batch_size: options.BatchSize = 64,
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    reuse: options.Reuse = True,
    hash_whole: options.HashWhole = False,
    trust_remote_code: options.TrustRemoteCode = False,
    config: options.ConfigFile = None,
    no_config: options.NoConfig = False,
    output: options.Output = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    dry_run: options.DryRun = False,
) -> None:
    """Which blocks carry the loss: each rolled back, each kept alone, and Shapley values. Ends with 0."""
    requests = parse_outputs(output or [])
    settled = planning.load_config(config, ignore=no_config)
    columns = {"input_column": ",".join(input_column or ()) or None, "label_column": label_column}
    plan = AuditPlan(
        base=base,
        tuned=(tuned,),
        names=planning.variant_names(base, (tuned,)),
        model=planning.plan_model(model, settled),
        data=planning.plan_data(data or [], settled, **columns),
        settings=Settings(
            task=planning.plan_task(task), layers=tuple(parts or ()), head=head, limit=limit, batch_size=batch_size,
            device=device, dtype=dtype, threads=threads, seed=seed, reuse=reuse, hash_whole=hash_whole,
            trust_remote_code=trust_remote_code, group_by=group_by,
        ),
        config=None if settled.path is None else settled.path.name,
    )  # fmt: skip
    refuse_inputs(requests, (*_read(plan), *(() if settled.path is None else (settled.path,))))
    # The heavy imports wake up here, not for --help.
    from forgetaudit.audits.locate import LocatePlan, refuse
    from forgetaudit.audits.locate import locate as audit

    asked = LocatePlan(audit=plan, permutations=permutations, preview=preview)
    refuse(asked)
    if dry_run:
        console.write_out(console.as_lines(dry_run_lines(plan)))
        return
    report = audit(asked, progress=console.StderrProgress(quiet=quiet))
    if verbose:
        for decision in decisions(report):
            console.note(decision)
    _tell(report, requests, quiet=quiet)


def _tell(report: AuditReport, requests: tuple[OutputRequest, ...], *, quiet: bool) -> None:
    """To the screen, then to the files asked for: a full disk must not cost both, nor a closed pipe."""
    width, colour, unicode = console.terminal_traits(sys.stdout)
    try:
        console.write_out(
            console.as_lines(located(report))
            if quiet
            else render(report, width=width, colour=colour, unicode=unicode, exit_note="0")
        )
    except (BrokenPipeError, OutputError):
        _save(report, requests)
        raise
    _save(report, requests)


def _save(report: AuditReport, requests: tuple[OutputRequest, ...]) -> None:
    if written := write_outputs(report, requests, "0"):
        console.note(f"wrote {', '.join(written)}")


def _read(plan: AuditPlan) -> Iterator[Path]:
    """The files and folders that a run would read."""
    yield from (plan.base, *plan.tuned)
    if plan.model is not None and isinstance(plan.model.factory, str):
        yield plan.model.directory / plan.model.factory.rpartition(":")[0]
    for data in plan.data:
        yield data.directory / data.where
