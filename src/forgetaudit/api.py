"""The verbs of the command line, for Python."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from forgetaudit import planning
from forgetaudit.checkpoints.run_order import checkpoints_in, order_of_run
from forgetaudit.config import Config, read_config
from forgetaudit.errors import UsageError
from forgetaudit.plan import AuditPlan, Settings, texts
from forgetaudit.progress import SILENT, Progress
from forgetaudit.report.report import AuditReport

__all__ = ["compare", "locate", "repair", "trace"]

PathLike = str | Path


def compare(
    base: PathLike,
    tuned: PathLike | Sequence[PathLike],
    *,
    data: str | Sequence[str] = (),
    model: str | Callable[[], Any] | None = None,
    config: PathLike | None = None,
    max_drop: str | None = None,
    min_cka: float | None = None,
    max_distance: float | None = None,
    frozen: Sequence[str] = (),
    examples: PathLike | None = None,
    rehearsal: PathLike | None = None,
    show_samples: bool = True,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> AuditReport:
    """What `tuned` forgot of the source task that `base` could do, as `forgetaudit compare` reports it.

    `examples` names a Parquet file for what became of every example, `rehearsal` a folder for those forgotten, as a
    data set. `model` is a function that returns the network, or names one as `--model` does. Nothing is printed, no
    config is read but the one that is named, and the verdict is in the report. AuditError where it cannot be done.
    """
    several = [tuned] if isinstance(tuned, str | Path) else list(tuned)
    paths = tuple(Path(path) for path in several)
    if not paths:
        raise UsageError("there is no tuned checkpoint to compare with base", hint="pass one, or several")
    limits = planning.GateWords(
        max_drop=max_drop, min_cka=min_cka, max_distance=max_distance, frozen=texts(frozen, "frozen")
    )
    plan = replace(
        _plan(base, paths, data, model, config, limits, settings),
        examples=None if examples is None else Path(examples),
        rehearsal=None if rehearsal is None else Path(rehearsal),
        show_samples=show_samples,
    )
    from forgetaudit.audits.compare import compare as audit

    report, kept = audit(plan, progress=progress)
    kept.write()
    return report


def trace(
    base: PathLike,
    checkpoints: PathLike | Sequence[PathLike],
    *,
    data: str | Sequence[str],
    target: str | None = None,
    learned: Mapping[str, str] | None = None,
    model: str | Callable[[], Any] | None = None,
    config: PathLike | None = None,
    max_drop: str | None = None,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> AuditReport:
    """The forgetting curve over the checkpoints of a run, or the folder that holds them, as `forgetaudit trace` has it.

    The report is on the last checkpoint; its section `trace` is the curve. `learned` names by data set the checkpoint
    that learned it, where base did not. AuditError where it cannot be done.
    """
    several = [checkpoints] if isinstance(checkpoints, str | Path) else list(checkpoints)
    order = order_of_run([one for path in several for one in checkpoints_in(Path(path))])
    every = [*([data] if isinstance(data, str) else data), *([target] if target is not None else [])]
    plan = _plan(base, order.paths, every, model, config, planning.GateWords(max_drop=max_drop), settings)
    from forgetaudit.audits.trace.run import TracePlan
    from forgetaudit.audits.trace.run import trace as audit

    of_target = plan.data[-1] if target is not None else None
    return audit(
        TracePlan(audit=plan, order=order, target=of_target, learned=dict(learned or {})),
        progress=progress,
    )


def locate(
    base: PathLike,
    tuned: PathLike,
    *,
    data: str | Sequence[str],
    model: str | Callable[[], Any] | None = None,
    config: PathLike | None = None,
    permutations: int = 8,
    preview: bool = False,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> AuditReport:
    """Which parts carry the loss, as `forgetaudit locate` tells it; the report's section `locate`.

    Shapley values are sampled from `permutations` orders where there are too many parts for all coalitions; 0 for none.
    With `preview` nothing is rolled back: gradients share out the rise in log loss, as a diagnostic with its error.
    AuditError where it cannot be told.
    """
    plan = _plan(base, (Path(tuned),), data, model, config, planning.GateWords(), settings)
    from forgetaudit.audits.locate.run import LocatePlan
    from forgetaudit.audits.locate.run import locate as audit

    return audit(LocatePlan(audit=plan, permutations=permutations, preview=preview), progress=progress)


def repair(
    base: PathLike,
    tuned: PathLike,
    *,
    data: str,
    target: str | None = None,
    out: PathLike | None = None,
    force: bool = False,
    keep_target: str | None = None,
    win_back: str | None = None,
    families: Sequence[str] | None = None,
    model: str | Callable[[], Any] | None = None,
    config: PathLike | None = None,
    max_drop: str | None = None,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> AuditReport:
    """What wins back what was lost, confirmed on held-out examples and written to `out`, as `forgetaudit repair` does.

    `keep_target` is the most target accuracy to lose ("1pt"), `win_back` the least share of the lost points ("50%").
    The report's section `repair` says what was tried, and its `met` whether all that was asked is met; if not, nothing
    is written. AuditError where it cannot be done.
    """
    every = [data, *([target] if target is not None else [])]
    plan = _plan(base, (Path(tuned),), every, model, config, planning.GateWords(max_drop=max_drop), settings)
    chosen, most_lost, least_won = planning.RepairWords(
        target=target is not None, keep_target=keep_target, win_back=win_back, families=families
    ).asked()
    from forgetaudit.audits.repair.run import RepairPlan
    from forgetaudit.audits.repair.run import repair as audit

    asked = RepairPlan(
        audit=replace(plan, show_samples=False),
        target=plan.data[-1] if target is not None else None,
        out=None if out is None else Path(out),
        force=force,
        families=chosen,
        keep_target=most_lost,
        win_back=least_won,
    )
    return audit(asked, progress=progress)


def _plan(
    base: PathLike,
    tuned: Sequence[Path],
    data: str | Sequence[str],
    model: str | Callable[[], Any] | None,
    config: PathLike | None,
    limits: planning.GateWords,
    settings: Settings | None,
) -> AuditPlan:
    settled = Config(directory=Path.cwd()) if config is None else read_config(Path(config))
    return planning.plan_audit(
        Path(base),
        tuned,
        [data] if isinstance(data, str) else list(data),
        settled,
        model=model,
        settings=settings or Settings(),
        policy=planning.plan_policy(limits, settled),
    )
