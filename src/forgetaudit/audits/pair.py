"""One fine-tune and its base, opened: what locate and repair begin with."""

from contextlib import ExitStack
from dataclasses import dataclass

from forgetaudit.audits.files import refuse_idle_choice
from forgetaudit.audits.inputs import OpenedData, describe_file, open_data, refuse_other_kind
from forgetaudit.audits.strata import refuse_stratified
from forgetaudit.audits.weight_diff import WeightDiff, diff_weights
from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.errors import UsageError
from forgetaudit.models.model_source import ModelSource
from forgetaudit.plan import AuditPlan
from forgetaudit.progress import Progress
from forgetaudit.report.inputs import FileInput

__all__ = ["Pair", "open_pair"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Both checkpoints of `plan`, its data, and how its networks are built. `progress` is told of the work."""

    plan: AuditPlan
    data: tuple[OpenedData, ...]
    family: ModelSource
    base: Checkpoint
    tuned: Checkpoint
    progress: Progress

    def weigh(self, name: str = "tuned", checkpoint: Checkpoint | None = None) -> WeightDiff:
        """How far the tensors of tuned lie from base's, or those of another `checkpoint`, called `name`."""
        return diff_weights(
            name,
            self.base,
            self.tuned if checkpoint is None else checkpoint,
            self.plan.policy,
            self.progress,
            model_names=self.family.model_names,
            vocabulary=self.family.vocabulary,
        )

    def described(self) -> tuple[FileInput, FileInput]:
        """Base and tuned, for the report."""
        settings = self.plan.settings
        return (
            describe_file("base", self.base, settings, named=self.plan.base),
            describe_file("tuned", self.tuned, settings, named=self.plan.tuned[0]),
        )


def open_pair(command: str, plan: AuditPlan, files: ExitStack, progress: Progress) -> Pair:
    """Base, the only tuned one, and the data, which have to say what is right. AuditError, closed with `files`."""
    refuse_stratified(command, plan.settings.strata)
    refuse_other_kind(plan)
    data = tuple(open_data(one, plan.settings) for one in plan.data)
    for one in data:
        if not one.examples.labelled and not one.examples.of_text:
            raise UsageError(
                f"{command} needs to know which answers are right, and {one.plan.name} has no labels",
                hint="name the column that says it: --label-column NAME",
            )
    family = ModelSource(plan)
    base = files.enter_context(family.open_base())
    tuned = files.enter_context(family.open_tuned(plan.tuned[0]))
    refuse_idle_choice(plan.settings.weights, (base, tuned))
    return Pair(
        plan=plan,
        data=data,
        family=family,
        base=base,
        tuned=tuned,
        progress=progress,
    )
