"""The verbs of the command line, for Python."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from forgetaudit import planning
from forgetaudit.checkpoints.run_order import checkpoints_in, order_of_run
from forgetaudit.config import Config, read_config
from forgetaudit.errors import UsageError
from forgetaudit.plan import AuditPlan, ModelPlan, Settings, texts
from forgetaudit.progress import SILENT, Progress
from forgetaudit.report.report import AuditReport

__all__ = ["compare", "locate", "trace"]

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
    model: str | Callable[[], Any] | None = None,
    config: PathLike | None = None,
    max_drop: str | None = None,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> AuditReport:
    """The forgetting curve over the checkpoints of a run, or the folder that holds them, as `forgetaudit trace` has it.

    The report is on the last checkpoint; its section `trace` is the curve. AuditError where it cannot be done.
    """
    several = [checkpoints] if isinstance(checkpoints, str | Path) else list(checkpoints)
    order = order_of_run([one for path in several for one in checkpoints_in(Path(path))])
    every = [*([data] if isinstance(data, str) else data), *([target] if target else [])]
    plan = _plan(base, order.paths, every, model, config, planning.GateWords(max_drop=max_drop), settings)
    from forgetaudit.audits.trace import TracePlan
    from forgetaudit.audits.trace import trace as audit

    return audit(
        TracePlan(audit=plan, order=order, target=plan.data[-1] if target else None), progress=progress
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
    from forgetaudit.audits.locate import LocatePlan
    from forgetaudit.audits.locate import locate as audit

    return audit(LocatePlan(audit=plan, permutations=permutations, preview=preview), progress=progress)


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
    return AuditPlan(
        base=Path(base),
        tuned=tuple(tuned),
        names=planning.variant_names(Path(base), tuned),
        model=_model(model, settled),
        data=planning.plan_data(
            [data] if isinstance(data, str) else list(data), settled, input_column=None, label_column=None
        ),
        settings=settings or Settings(),
        policy=planning.plan_policy(limits, settled),
        config=None if settled.path is None else settled.path.name,
    )


def _model(model: str | Callable[[], Any] | None, config: Config) -> ModelPlan | None:
    if model is None or isinstance(model, str):
        return planning.plan_model(model, config)
    if not callable(model):
        raise UsageError(
            f"model={model!r} is neither a function nor a text",
            hint="pass a function that returns the network, or its name, as in digits.py:build",
        )
    return ModelPlan(factory=model, directory=Path.cwd(), evidence="a function")
