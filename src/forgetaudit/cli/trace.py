"""trace BASE CKPT…: options to a plan, the plan to a report, the report to the screen, the verdict to a code."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from forgetaudit import planning
from forgetaudit.checkpoints.run_order import checkpoints_in, order_of_run
from forgetaudit.cli import console, options
from forgetaudit.cli.dry_run import told as dry_run_lines
from forgetaudit.cli.outputs import parse_outputs, refuse_inputs
from forgetaudit.cli.telling import tell
from forgetaudit.errors import UsageError
from forgetaudit.plan import AuditPlan, Settings

__all__ = ["trace"]

Base = Annotated[
    Path, typer.Argument(metavar="BASE", help="The checkpoint that the run started from.", show_default=False)
]  # fmt: skip
Checkpoints = Annotated[
    list[Path],
    typer.Argument(metavar="CKPT…", help="The run's checkpoints, or the folder that holds them.", show_default=False),
]  # fmt: skip
Target = Annotated[
    str | None,
    typer.Option("--target", metavar="[NAME=]WHERE[:SPLIT]", help="Held-out data of the target task."),
]  # fmt: skip
Learned = Annotated[
    list[str] | None,
    typer.Option(
        "--learned",
        metavar="DATA=CKPT",
        help="Of several --data, which checkpoint learned a task; base, where it is not said. Repeatable.",
    ),
]


def trace(
    base: Base,
    checkpoints: Checkpoints,
    data: options.Data = None,
    target: Target = None,
    learned: Learned = None,
    model: options.Model = None,
    task: options.Task = None,
    input_column: options.InputColumn = None,
    label_column: options.LabelColumn = None,
    layers: options.Layers = None,
    pool: options.Pool = "mean",
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
    no_samples: options.NoSamples = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    dry_run: options.DryRun = False,
) -> None:
    """The forgetting curve over a run's checkpoints: when loss became sure, and the last one within limits."""
    requests = parse_outputs(output or [])
    settled = planning.load_config(config, ignore=no_config)
    policy = planning.plan_policy(
        planning.GateWords(
            max_drop=max_drop, min_cka=min_cka, max_distance=max_distance, frozen=tuple(frozen or ()),
            confidence=confidence, min_samples=min_samples, fail_when=fail_when, on_inconclusive=on_inconclusive,
        ),
        settled,
    )  # fmt: skip
    planning.variant_names(base, checkpoints)
    order = order_of_run([one for path in checkpoints for one in checkpoints_in(path)])
    columns = {"input_column": ",".join(input_column or ()) or None, "label_column": label_column}
    every = planning.plan_data([*(data or []), *([target] if target else [])], settled, **columns)
    plan = AuditPlan(
        base=base,
        tuned=order.paths,
        names=planning.variant_names(base, order.paths),
        model=planning.plan_model(model, settled),
        data=every,
        settings=Settings(
            task=planning.plan_task(task), layers=tuple(layers or ()), pool=pool, head=head, limit=limit,
            batch_size=batch_size, device=device, dtype=dtype, threads=threads, seed=seed, reuse=reuse,
            hash_whole=hash_whole, trust_remote_code=trust_remote_code, group_by=group_by,
        ),
        policy=policy,
        show_samples=not no_samples,
        config=None if settled.path is None else settled.path.name,
    )  # fmt: skip
    refuse_inputs(requests, (*_read(plan), *(() if settled.path is None else (settled.path,))))
    # The heavy imports wake up here, not for --help.
    from forgetaudit.audits.trace import TracePlan, refuse
    from forgetaudit.audits.trace import trace as audit

    asked = TracePlan(
        audit=plan, order=order, target=every[-1] if target else None, learned=_learned(learned or ())
    )
    refuse(asked)
    if dry_run:
        console.write_out(console.as_lines(dry_run_lines(plan)))
        return
    report = audit(asked, progress=console.StderrProgress(quiet=quiet))
    raise typer.Exit(tell(report, requests, quiet=quiet, verbose=verbose, no_fail=no_fail))


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


def _read(plan: AuditPlan) -> Iterator[Path]:
    """The files and folders that a run would read."""
    yield from (plan.base, *plan.tuned)
    if plan.model is not None and isinstance(plan.model.factory, str):
        yield plan.model.directory / plan.model.factory.rpartition(":")[0]
    for data in plan.data:
        yield data.directory / data.where
