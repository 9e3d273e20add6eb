"""compare BASE TUNED…: options to a plan, the plan to a report, the report to the screen, the verdict to a code."""

from dataclasses import fields, replace

import typer

from forgetaudit import planning
from forgetaudit.audits.lm_eval_logs import compare_samples
from forgetaudit.cli import console, options
from forgetaudit.cli import samples as sample_options
from forgetaudit.cli.bless import accepted_state
from forgetaudit.cli.deliver import deliver
from forgetaudit.cli.dry_run import plan_lines as dry_run_lines
from forgetaudit.cli.explicit_options import typed_options
from forgetaudit.cli.gate_options import Gate
from forgetaudit.cli.option_groups import expand_groups
from forgetaudit.cli.output_options import OutputOptions
from forgetaudit.cli.outputs import refuse_inputs
from forgetaudit.cli.running_options import Running
from forgetaudit.errors import UsageError
from forgetaudit.judge.accepted import compare_with_accepted

__all__ = ["compare"]

# Whole files are hashed, and one of two sets of weights is read, without data, too.
_NEED_DATA = {field.name for field in fields(Running)} - {"hash_whole", "weights"}
_NEED_DATA |= {"examples", "rehearsal", "no_samples"}


@expand_groups
def compare(
    context: typer.Context,
    base: options.BaseIfAny = None,
    tuned: options.EveryTuned = None,
    data: options.Data = None,
    *,
    running: Running,
    samples: sample_options.Samples = None,
    metric: sample_options.Metric = None,
    filter_: sample_options.Filter = None,
    gate: Gate,
    telling: OutputOptions,
) -> None:
    """What TUNED forgot of the source task that BASE could do: accuracy drop, feature drift, weight distance."""
    requests, settled = telling.requests(), telling.settled()
    policy = planning.plan_policy(gate, settled)
    # Read before hours of work, as everything that could be refused.
    accepted = None if telling.no_config else accepted_state(settled)
    if samples is not None:
        refuse_inputs(requests, (*samples, *settled.files))
        logs = sample_options.plan_samples(
            context, samples, metric=metric, filter_=filter_, policy=policy, config=settled
        )
        if telling.dry_run:
            console.write_out(console.as_lines(sample_options.described(logs)))
            return
        report = compare_samples(logs, progress=console.StderrProgress(quiet=telling.quiet))
        raise typer.Exit(
            deliver(compare_with_accepted(report, accepted), requests, telling, no_fail=gate.no_fail)
        )
    sample_options.refuse_without_samples(context)
    if base is None or not tuned:
        raise sample_options.missing_checkpoint("BASE" if base is None else "TUNED…")
    plan = replace(
        running.plan(base, tuned, data or (), settled, policy),
        examples=telling.examples,
        rehearsal=telling.rehearsal,
        show_samples=not telling.no_samples,
    )
    if not plan.data:
        _refuse_idle_options(context)
    refuse_inputs(requests, (*plan.inputs(), *settled.files))
    if telling.dry_run:
        console.write_out(console.as_lines(dry_run_lines(plan)))
        return
    # The heavy imports wake up here, not for --help.
    from forgetaudit.audits.compare import compare as audit

    report, kept = audit(plan, progress=console.StderrProgress(quiet=telling.quiet))
    code = deliver(compare_with_accepted(report, accepted), requests, telling, no_fail=gate.no_fail)
    if written := kept.write():
        console.note(f"wrote {', '.join(written)}")
    raise typer.Exit(code)


def _refuse_idle_options(context: typer.Context) -> None:
    """Every option acts or is refused: without data nothing runs, so what says how to run is not ignored in silence."""
    if typed := typed_options(context, _NEED_DATA):
        raise UsageError(
            f"{', '.join(typed)} {'needs' if len(typed) == 1 else 'need'} --data",
            details=["without data only the weights are compared, and no model is run"],
            hint="pass --data, or leave it out",
        )
