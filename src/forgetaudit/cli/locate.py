"""locate BASE TUNED: options to a plan, the plan to a report, the report to the screen; it judges nothing."""

from dataclasses import replace
from typing import Annotated

import typer

from forgetaudit.cli import console, options
from forgetaudit.cli.deliver import deliver
from forgetaudit.cli.dry_run import plan_lines as dry_run_lines
from forgetaudit.cli.option_groups import Without, expand_groups
from forgetaudit.cli.output_options import OutputOptions
from forgetaudit.cli.outputs import refuse_inputs
from forgetaudit.cli.running_options import Running
from forgetaudit.policy import Policy
from forgetaudit.renderers.locate_words import located

__all__ = ["locate"]

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


@expand_groups
def locate(
    base: options.Base,
    tuned: options.Tuned,
    data: options.Data = None,
    permutations: Permutations = 8,
    preview: Preview = False,
    parts: Parts = None,
    *,
    running: Annotated[
        Running, Without("layers", "pool", "preprocess", "strata", "stop_early", "noise_floor")
    ],
    telling: Annotated[OutputOptions, Without("examples", "rehearsal", "no_samples")],
) -> None:
    """Which blocks carry the loss: each rolled back, each kept alone, and Shapley values. Ends with 0."""
    requests, settled = telling.requests(), telling.settled()
    plan = replace(running, layers=parts).plan(base, (tuned,), data or (), settled, Policy())
    refuse_inputs(requests, (*plan.inputs(), *settled.files))
    # The heavy imports wake up here, not for --help.
    from forgetaudit.audits.locate.run import LocatePlan, refuse
    from forgetaudit.audits.locate.run import locate as audit

    asked = LocatePlan(audit=plan, permutations=permutations, preview=preview)
    refuse(asked)
    if telling.dry_run:
        console.write_out(console.as_lines(dry_run_lines(plan)))
        return
    report = audit(asked, progress=console.StderrProgress(quiet=telling.quiet))
    raise typer.Exit(deliver(report, requests, telling, brief=located))
