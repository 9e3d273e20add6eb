"""--dry-run: what would be read and run, in the order of the work. Headers are read, and no weight; nothing is run."""

from collections.abc import Iterator
from contextlib import ExitStack

from forgetaudit.audits.align_by_model import align_through_model
from forgetaudit.audits.inputs import OpenedData, open_data
from forgetaudit.audits.lm_eval_tasks import HarnessData, is_of_harness, open_harness
from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.models.architecture import Architecture, Outline, Preparation
from forgetaudit.models.layers import Layer, Stage, select_layers
from forgetaudit.models.model_source import ModelSource
from forgetaudit.plan import AuditPlan
from forgetaudit.renderers.numbers import size
from forgetaudit.tasks.registry import make_task
from forgetaudit.wording import counted, some

__all__ = ["Row", "dry_run"]

Row = tuple[str, str]
"""A label, and what is said under it."""


def dry_run(plan: AuditPlan) -> Iterator[Row]:
    """What `compare` would do. AuditError where it would be refused before the first weight is read."""
    with ExitStack() as files:
        data = [open_data(one, plan.settings) for one in plan.data if not is_of_harness(one)]
        harnesses = [open_harness(one, plan) for one in plan.data if is_of_harness(one)]
        family = ModelSource(plan)
        base = files.enter_context(family.open_base())
        yield "base", f"{plan.base}: {_description(base)}"
        tuned = [files.enter_context(family.open_tuned(path)) for path in plan.tuned]
        for name, path, checkpoint in zip(plan.names, plan.tuned, tuned, strict=True):
            yield "tuned", f"{path} (as {name}): {_description(checkpoint)}"
            alignment = align_through_model(base, checkpoint, family.model_names)
            yield from (("", str(note)) for note in (*checkpoint.notes, *alignment.steps))
        if not plan.data:
            yield "data", "none: only the weights would be compared"
        else:
            yield from _what_runs(plan, family.architecture, base, data, harnesses)
        n_bytes = sum(file.stat().st_size for file in {f for c in (base, *tuned) for f in c.files})
        yield "reads", f"{size(n_bytes)} of weights"


def _description(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.format}, {counted(len(checkpoint.tensors), 'tensor')}"


def _what_runs(
    plan: AuditPlan,
    architecture: Architecture,
    base: Checkpoint,
    data: list[OpenedData],
    harnesses: list[HarnessData],
) -> Iterator[Row]:
    outline = architecture.outline(base)
    yield "model", f"{architecture.name} ({architecture.evidence})"
    if outline is not None:
        yield "inputs", outline.preparation.said
    for opened in data:
        yield "data", f"{opened.plan.name}: {opened.plan.decision}"
        yield from (("", str(decision)) for decision in opened.examples.decisions)
        yield "task", _task(plan, architecture, outline, opened)
    for asked in harnesses:
        yield "data", f"{asked.plan.name}: {asked.plan.decision}, {counted(len(plan.tuned) + 1, 'variant')}"
    if not data:
        return
    yield "layers", _layers(plan, outline, architecture.name)
    n_examples = sum(len(opened.examples) for opened in data)
    yield (
        "runs",
        f"{counted(len(plan.tuned) + 1, 'variant')} over {counted(n_examples, 'example')},"
        f" {plan.settings.batch_size} at a time",
    )


def _task(plan: AuditPlan, architecture: Architecture, outline: Outline | None, opened: OpenedData) -> str:
    """The task as it would be chosen: data and network that do not fit are refused here already."""
    preparation = Preparation() if outline is None else outline.preparation
    setting = opened.setting(architecture.name, architecture.task, architecture.class_names, preparation)
    chosen = make_task(plan.settings.task, setting)
    return "; ".join([chosen.decision.removeprefix("task "), *map(str, chosen.task.decisions())])


def _layers(plan: AuditPlan, outline: Outline | None, name: str) -> str:
    if outline is None:
        return f"known once {name} has been called, which is not done here"
    layers = select_layers(outline.model, plan.settings.layers)
    watched = [layer.name for layer in layers if layer.stage is not Stage.HEAD]
    return f"{counted(len(watched), 'layer')} watched: {some(watched, shown=len(watched))}{_head(layers)}"


def _head(layers: tuple[Layer, ...]) -> str:
    heads = [layer.name for layer in layers if layer.stage is Stage.HEAD]
    return f"; head {some(heads)}" if heads else "; no head recognised"
