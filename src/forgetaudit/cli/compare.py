"""compare BASE TUNED…: options to a plan, the plan to a report, the report to the screen, the verdict to a code."""

from collections.abc import Iterator
from pathlib import Path

import typer

from forgetaudit import planning
from forgetaudit.audits.samples import compare_samples
from forgetaudit.cli import console, options
from forgetaudit.cli import samples as sample_options
from forgetaudit.cli.bless import accepted_state
from forgetaudit.cli.dry_run import told as dry_run_lines
from forgetaudit.cli.outputs import parse_outputs, refuse_inputs
from forgetaudit.cli.telling import tell
from forgetaudit.errors import UsageError
from forgetaudit.plan import AuditPlan, Settings
from forgetaudit.report.accepted import beside_accepted

__all__ = ["compare"]


def compare(
    context: typer.Context,
    base: options.Base = None,
    tuned: options.Tuned = None,
    data: options.Data = None,
    model: options.Model = None,
    task: options.Task = None,
    input_column: options.InputColumn = None,
    label_column: options.LabelColumn = None,
    layers: options.Layers = None,
    pool: options.Pool = "mean",
    head: options.Head = "auto",
    preprocess: options.Preprocess = "base",
    limit: options.Limit = None,
    group_by: options.GroupBy = None,
    stop_early: options.StopEarly = False,
    noise_floor: options.NoiseFloor = False,
    batch_size: options.BatchSize = 64,
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    reuse: options.Reuse = True,
    hash_whole: options.HashWhole = False,
    trust_remote_code: options.TrustRemoteCode = False,
    samples: sample_options.Samples = None,
    metric: sample_options.Metric = None,
    filter_: sample_options.Filter = None,
    max_drop: options.MaxDrop = None,
    min_cka: options.MinCka = None,
    max_distance: options.MaxDistance = None,
    frozen: options.Frozen = None,
    confidence: options.Confidence = None,
    min_samples: options.MinSamples = None,
    fail_when: options.FailWhenOption = None,
    on_inconclusive: options.OnInconclusiveOption = None,
    no_fail: options.NoFail = False,
    config: options.ConfigFile = None,
    no_config: options.NoConfig = False,
    output: options.Output = None,
    examples: options.Examples = None,
    rehearsal: options.Rehearsal = None,
    no_samples: options.NoSamples = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    dry_run: options.DryRun = False,
) -> None:
    """What TUNED forgot of the source task that BASE could do: accuracy drop, feature drift, weight distance."""
    requests = parse_outputs(output or [])
    settled = planning.load_config(config, ignore=no_config)
    policy = planning.plan_policy(
        planning.GateWords(
            max_drop=max_drop, min_cka=min_cka, max_distance=max_distance, frozen=tuple(frozen or ()),
            confidence=confidence, min_samples=min_samples, fail_when=fail_when, on_inconclusive=on_inconclusive,
        ),
        settled,
    )  # fmt: skip
    # Read before hours of work, as everything that could be refused.
    accepted = None if no_config else accepted_state(settled)
    settings_file = () if settled.path is None else (settled.path,)
    if samples is not None:
        refuse_inputs(requests, (*samples, *settings_file))
        logs = sample_options.plan_samples(
            context, samples, metric=metric, filter_=filter_, policy=policy, config=settled
        )
        if dry_run:
            console.write_out(console.as_lines(sample_options.described(logs)))
            return
        report = compare_samples(logs, progress=console.StderrProgress(quiet=quiet))
        raise typer.Exit(
            tell(beside_accepted(report, accepted), requests, quiet=quiet, verbose=verbose, no_fail=no_fail)
        )
    sample_options.refuse_without_samples(context)
    if base is None or not tuned:
        raise sample_options.missing_checkpoint("BASE" if base is None else "TUNED…")
    plan = AuditPlan(
        base=base,
        tuned=tuple(tuned),
        names=planning.variant_names(base, tuned),
        model=planning.plan_model(model, settled),
        data=planning.plan_data(
            data or [], settled, input_column=",".join(input_column or ()) or None, label_column=label_column
        ),
        settings=Settings(
            task=planning.plan_task(task), layers=tuple(layers or ()), pool=pool, head=head,
            preprocess=preprocess, limit=limit, batch_size=batch_size, device=device, dtype=dtype, threads=threads,
            seed=seed, reuse=reuse, hash_whole=hash_whole, trust_remote_code=trust_remote_code,
            group_by=group_by, stop_early=stop_early, noise_floor=noise_floor,
        ),
        policy=policy,
        examples=examples,
        rehearsal=rehearsal,
        show_samples=not no_samples,
        config=None if settled.path is None else settled.path.name,
    )  # fmt: skip
    _refuse_idle_options(plan, model_typed=model is not None)
    refuse_inputs(requests, (*_read(plan), *settings_file))
    if dry_run:
        console.write_out(console.as_lines(dry_run_lines(plan)))
        return
    # The heavy imports wake up here, not for --help.
    from forgetaudit.audits.compare import compare as audit

    report, kept = audit(plan, progress=console.StderrProgress(quiet=quiet))
    code = tell(beside_accepted(report, accepted), requests, quiet=quiet, verbose=verbose, no_fail=no_fail)
    if written := kept.write():
        console.note(f"wrote {', '.join(written)}")
    raise typer.Exit(code)


def _read(plan: AuditPlan) -> Iterator[Path]:
    """The files and folders that a run would read."""
    yield from (plan.base, *plan.tuned)
    if plan.model is not None and isinstance(plan.model.factory, str):
        yield plan.model.directory / plan.model.factory.rpartition(":")[0]
    for data in plan.data:
        yield data.directory / data.where


def _refuse_idle_options(plan: AuditPlan, *, model_typed: bool) -> None:
    """Every option acts or is refused: without data nothing runs, so what says how to run is not ignored in silence."""
    if plan.data:
        return
    settings, default = plan.settings, Settings()
    idle = {
        "--model": model_typed,
        "--task": settings.task is not None,
        "--layers": bool(settings.layers),
        "--pool": settings.pool != default.pool,
        "--head": settings.head != default.head,
        "--preprocess": settings.preprocess != default.preprocess,
        "--limit": settings.limit is not None,
        "--group-by": settings.group_by is not None,
        "--stop-early": settings.stop_early,
        "--noise-floor": settings.noise_floor,
        "--examples": plan.examples is not None,
        "--rehearsal": plan.rehearsal is not None,
        "--no-samples": not plan.show_samples,
        "--batch-size": settings.batch_size != default.batch_size,
        "--device": settings.device is not None,
        "--dtype": settings.dtype is not None,
        "--threads": settings.threads is not None,
        "--no-reuse": not settings.reuse,
        "--trust-remote-code": settings.trust_remote_code,
    }
    if typed := [option for option, was_typed in idle.items() if was_typed]:
        raise UsageError(
            f"{', '.join(typed)} {'needs' if len(typed) == 1 else 'need'} --data",
            details=["without data only the weights are compared, and no model is run"],
            hint="pass --data, or leave it out",
        )
