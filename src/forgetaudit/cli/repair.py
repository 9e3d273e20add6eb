"""repair BASE TUNED -o OUT: options to a plan, the plan to a report; 1 where nothing meets what is asked."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from forgetaudit import planning
from forgetaudit.cli import console, options
from forgetaudit.cli.dry_run import told as dry_run_lines
from forgetaudit.cli.outputs import parse_outputs, refuse_inputs
from forgetaudit.cli.telling import tell
from forgetaudit.errors import UsageError
from forgetaudit.plan import AuditPlan, Settings
from forgetaudit.policy import drop_limit

__all__ = ["repair"]

FAMILIES = ("mixture", "ramp", "rollback", "buffers", "head")
HALF = 0.5

Base = Annotated[
    Path, typer.Argument(metavar="BASE", help="The checkpoint that the fine-tune started from.", show_default=False)
]  # fmt: skip
Tuned = Annotated[
    Path, typer.Argument(metavar="TUNED", help="The fine-tuned checkpoint, or adapter.", show_default=False)
]  # fmt: skip
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="[NAME=]WHERE[:SPLIT]",
        help="Held-out data of the target task: what the fine-tune learned.",
    ),
]
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
        "--families", metavar="A,B", help=f"Which remedies: {', '.join(FAMILIES)}. All, if not said."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace what is at OUT.")]


def repair(
    base: Base,
    tuned: Tuned,
    data: options.Data = None,
    target: Target = None,
    out: Out = None,
    keep_target: KeepTarget = None,
    win_back: WinBack = None,
    families: Families = None,
    force: Force = False,
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
    trust_remote_code: options.TrustRemoteCode = False,
    max_drop: options.MaxDrop = None,
    confidence: options.Confidence = None,
    config: options.ConfigFile = None,
    no_config: options.NoConfig = False,
    output: options.Output = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    dry_run: options.DryRun = False,
) -> None:
    """What wins it back: mixtures, ramps and rollbacks, tried on one half of the data and confirmed on the other."""
    requests = parse_outputs(output or [])
    settled = planning.load_config(config, ignore=no_config)
    policy = planning.plan_policy(planning.GateWords(max_drop=max_drop), settled)
    policy = planning.with_confidence(policy, confidence)
    columns = {"input_column": ",".join(input_column or ()) or None, "label_column": label_column}
    every = planning.plan_data([*(data or []), *([target] if target else [])], settled, **columns)
    plan = AuditPlan(
        base=base,
        tuned=(tuned,),
        names=planning.variant_names(base, [tuned]),
        model=planning.plan_model(model, settled),
        data=every,
        settings=Settings(
            task=planning.plan_task(task), head=head, limit=limit, batch_size=batch_size, device=device, dtype=dtype,
            threads=threads, seed=seed, reuse=reuse, trust_remote_code=trust_remote_code, group_by=group_by,
        ),
        policy=policy,
        show_samples=False,
        config=None if settled.path is None else settled.path.name,
    )  # fmt: skip
    refuse_inputs(requests, (*_read(plan), *(() if settled.path is None else (settled.path,))))
    if keep_target is not None and target is None:
        raise UsageError("--keep-target needs --target", hint="pass held-out data of the target task")
    # The heavy imports wake up here, not for --help.
    from forgetaudit.audits.repair import RepairPlan, refuse
    from forgetaudit.audits.repair import repair as audit

    asked = RepairPlan(
        audit=plan,
        target=every[-1] if target else None,
        out=out,
        force=force,
        families=_families(families),
        keep_target=0.01 if keep_target is None else _points(keep_target, "--keep-target"),
        win_back=_share(win_back) if win_back is not None else None if target else HALF,
    )
    refuse(asked)
    if dry_run:
        console.write_out(console.as_lines(dry_run_lines(plan)))
        console.write_out(console.as_lines(_told(asked.families, out)))
        return
    report = audit(asked, progress=console.StderrProgress(quiet=quiet))
    code = tell(report, requests, quiet=quiet, verbose=verbose, no_fail=False)
    assert report.repair is not None  # noqa: S101
    raise typer.Exit(code if code == _REFUSED else 0 if report.repair.met else 1)


_REFUSED = 2


def _points(text: str, option: str) -> float:
    found, relative = drop_limit(text, option)
    if relative:
        raise UsageError(f"{option} {text} is no number of points", hint='write it as "1pt"')
    return found


def _share(text: str) -> float:
    """`50%` -> 0.5."""
    number = text.strip().removesuffix("%").strip()
    try:
        share = float(number) / 100
    except ValueError:
        share = -1.0
    if not text.strip().endswith("%") or not 0 < share <= 1:
        raise UsageError(
            f"--win-back {text} is no share of the lost points", hint='write it as "50%", at most 100%'
        )
    return share


def _families(text: str | None) -> tuple[str, ...]:
    named = FAMILIES if text is None else tuple(part.strip() for part in text.split(",") if part.strip())
    for name in named or ("",):
        if name not in FAMILIES:
            raise UsageError(
                f"--families {text}: there is no family {name!r}", hint=f"choose from {', '.join(FAMILIES)}"
            )
    return named


def _told(families: Sequence[str], out: Path | None) -> Iterator[str]:
    yield f"remedies {', '.join(families)}, on one half of the examples; the best is confirmed on the other"
    yield f"writes   {out or 'nothing (no -o OUT)'}"


def _read(plan: AuditPlan) -> Iterator[Path]:
    """The files and folders that a run would read."""
    yield from (plan.base, *plan.tuned)
    if plan.model is not None and isinstance(plan.model.factory, str):
        yield plan.model.directory / plan.model.factory.rpartition(":")[0]
    for data in plan.data:
        yield data.directory / data.where
