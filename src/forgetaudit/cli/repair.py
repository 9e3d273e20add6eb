"""repair BASE TUNED -o OUT: options to a plan, the plan to a report; 1 where nothing meets what is asked."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from forgetaudit import planning
from forgetaudit.cli import console, options
from forgetaudit.cli.deliver import deliver
from forgetaudit.cli.dry_run import plan_lines as dry_run_lines
from forgetaudit.cli.gate_options import Gate
from forgetaudit.cli.option_groups import Only, Without, expand_groups
from forgetaudit.cli.output_options import OutputOptions
from forgetaudit.cli.outputs import refuse_inputs
from forgetaudit.cli.running_options import Running
from forgetaudit.errors import UsageError

__all__ = ["repair"]


Out = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="OUT",
        help="Where the repaired checkpoint goes, in tuned's form; without it, nothing is written.",
    ),
]
KeepTarget = Annotated[
    str | None,
    typer.Option(
        "--keep-target", metavar="1pt", help="Most target accuracy to lose, surely; 1pt if not said."
    ),
]
WinBack = Annotated[
    str | None,
    typer.Option(
        "--win-back", metavar="50%", help="Least share of the lost points; without --target 50%, with it any sure gain."
    ),
]  # fmt: skip
Families = Annotated[
    str | None,
    typer.Option(
        "--families", metavar="A,B", help=f"Which remedies: {', '.join(planning.FAMILIES)}. All, if not said."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace what is at OUT.")]


@expand_groups
def repair(
    base: options.Base,
    tuned: options.TunedOrAdapter,
    data: options.Data = None,
    target: options.LearnedTarget = None,
    out: Out = None,
    keep_target: KeepTarget = None,
    win_back: WinBack = None,
    families: Families = None,
    force: Force = False,
    *,
    running: Annotated[
        Running, Without("layers", "pool", "preprocess", "strata", "stop_early", "noise_floor", "hash_whole")
    ],
    gate: Annotated[Gate, Only("max_drop", "confidence")],
    telling: Annotated[OutputOptions, Without("examples", "rehearsal", "no_samples")],
) -> None:
    """What wins it back: mixtures, rollbacks, new heads, tried on one half of the data and confirmed on the other."""
    requests, settled = telling.requests(), telling.settled()
    policy = planning.plan_policy(planning.GateWords(max_drop=gate.max_drop), settled)
    policy = planning.with_confidence(policy, gate.confidence)
    every = [*(data or ()), *([target] if target is not None else ())]
    plan = replace(running.plan(base, (tuned,), every, settled, policy), show_samples=False)
    refuse_inputs(requests, (*plan.inputs(), *settled.files))
    if force and out is None:
        raise UsageError("--force replaces what is at OUT, and none was passed", hint="add -o OUT")
    words = planning.RepairWords(
        target=target is not None, keep_target=keep_target, win_back=win_back, families=families
    )
    chosen, most_lost, least_won = words.asked()
    # The heavy imports wake up here, not for --help.
    from forgetaudit.audits.repair.run import RepairPlan, refuse
    from forgetaudit.audits.repair.run import repair as audit

    asked = RepairPlan(
        audit=plan,
        target=plan.data[-1] if target is not None else None,
        out=out,
        force=force,
        families=chosen,
        keep_target=most_lost,
        win_back=least_won,
    )
    refuse(asked)
    if telling.dry_run:
        console.write_out(console.as_lines(dry_run_lines(plan)))
        console.write_out(console.as_lines(_refusal_lines(asked.families, out)))
        return
    report = audit(asked, progress=console.StderrProgress(quiet=telling.quiet))
    raise typer.Exit(deliver(report, requests, telling))


def _refusal_lines(families: Sequence[str], out: Path | None) -> Iterator[str]:
    yield f"remedies {', '.join(families)}, on one half of the examples; the best is confirmed on the other"
    yield f"writes   {out or 'nothing (no -o OUT)'}"
