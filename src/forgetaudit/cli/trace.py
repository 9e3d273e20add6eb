"""trace BASE CKPT…: options to a plan, the plan to a report, the report to the screen, the verdict to a code."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from forgetaudit import planning
from forgetaudit.checkpoints.run_order import checkpoints_in, order_of_run
from forgetaudit.cli import console, options
from forgetaudit.cli.deliver import deliver
from forgetaudit.cli.dry_run import plan_lines as dry_run_lines
from forgetaudit.cli.gate_options import Gate
from forgetaudit.cli.option_groups import Without, expand_groups
from forgetaudit.cli.output_options import OutputOptions
from forgetaudit.cli.outputs import refuse_inputs
from forgetaudit.cli.running_options import Running
from forgetaudit.errors import UsageError

__all__ = ["trace"]

Checkpoints = Annotated[
    list[Path],
    typer.Argument(metavar="CKPT…", help="The run's checkpoints, or the folder that holds them.", show_default=False),
]  # fmt: skip
Learned = Annotated[
    list[str] | None,
    typer.Option(
        "--learned",
        metavar="DATA=CKPT",
        help="Of several --data, which checkpoint learned a task; base, where it is not said. Repeatable.",
    ),
]


@expand_groups
def trace(
    base: options.RunStart,
    checkpoints: Checkpoints,
    data: options.Data = None,
    target: options.Target = None,
    learned: Learned = None,
    *,
    running: Annotated[Running, Without("preprocess", "stop_early", "noise_floor")],
    gate: Gate,
    telling: Annotated[OutputOptions, Without("examples", "rehearsal")],
) -> None:
    """The forgetting curve over a run's checkpoints: when loss became sure, and the last one within limits."""
    requests, settled = telling.requests(), telling.settled()
    policy = planning.plan_policy(gate, settled)
    planning.variant_names(base, checkpoints)
    order = order_of_run([one for path in checkpoints for one in checkpoints_in(path)])
    every = [*(data or ()), *([target] if target is not None else ())]
    plan = replace(
        running.plan(base, order.paths, every, settled, policy), show_samples=not telling.no_samples
    )
    refuse_inputs(requests, (*plan.inputs(), *settled.files))
    # The heavy imports wake up here, not for --help.
    from forgetaudit.audits.trace.run import TracePlan, refuse
    from forgetaudit.audits.trace.run import trace as audit

    asked = TracePlan(
        audit=plan,
        order=order,
        target=plan.data[-1] if target is not None else None,
        learned=_learned(learned or ()),
    )
    refuse(asked)
    if telling.dry_run:
        console.write_out(console.as_lines(dry_run_lines(plan)))
        return
    report = audit(asked, progress=console.StderrProgress(quiet=telling.quiet))
    raise typer.Exit(deliver(report, requests, telling, no_fail=gate.no_fail))


def _learned(texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        task, equals, stage = text.partition("=")
        if not (task and equals and stage):
            raise UsageError(
                f"--learned {text} is not DATA=CKPT", hint="write --learned flowers=checkpoint-500"
            )
        found[task] = stage
    return found
