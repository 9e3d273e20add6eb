"""What goes into an audit, opened and described: checkpoints and data."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from forgetaudit.audits.class_names import Matching, match_classes
from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.checkpoints.digest import digest
from forgetaudit.data.examples import Example, Examples
from forgetaudit.data.readers import open_examples
from forgetaudit.errors import DataError
from forgetaudit.plan import DataPlan, Settings
from forgetaudit.report.inputs import DataInput, Digest, FileInput
from forgetaudit.report.parts import Absent
from forgetaudit.values import NotMeasured

__all__ = ["OpenedData", "describe_file", "open_data"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedData:
    """A source data set, its examples at hand."""

    plan: DataPlan
    examples: Examples
    matching: Matching | None = None

    def matched(self, model: tuple[str, ...] | None) -> "OpenedData":
        """The same data, their labels brought to the classes of a model. DataError where they are none of them."""
        if not self.examples.labelled:
            return self
        found = match_classes(self.examples.class_names, model, where=self.plan.name)
        return replace(self, matching=found)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """What the labels of `in_order` are called."""
        return self.examples.class_names if self.matching is None else self.matching.class_names

    def in_order(self) -> Iterator[Example]:
        """The examples, labelled as the model counts its classes."""
        ids = None if self.matching is None else self.matching.ids
        for example in self.examples:
            if ids is None or example.label is None:
                yield example
            else:
                yield replace(example, label=ids[example.label])

    def described(self) -> DataInput:
        """For the report: what was read, and every decision on the way."""
        examples = self.examples
        return DataInput(
            data=self.plan.name,
            where=self.plan.where,
            n=len(examples),
            fingerprint=examples.fingerprint,
            classes=examples.class_names,
            decisions=(self.plan.decision, *examples.decisions, *self._matched()),
        )

    def _matched(self) -> tuple[str, ...]:
        said = None if self.matching is None else self.matching.decision
        return () if said is None else (said,)


def open_data(plan: DataPlan, settings: Settings) -> OpenedData:
    """DataError where it cannot be read, has no labels, or is too small to say anything about two models."""
    examples = open_examples(
        plan.where,
        directory=plan.directory,
        split=plan.split,
        input_column=plan.input_column,
        label_column=plan.label_column,
        limit=settings.limit,
        seed=settings.seed,
    )
    if len(examples) < 2:
        raise DataError(
            f"{plan.where} holds one example, from which nothing can be concluded",
            hint="pass a few hundred held-out examples",
        )
    if not examples.labelled:
        raise DataError(
            f"{plan.where} has no labels, which accuracy needs",
            details=list(examples.decisions),
            hint="name their column with --label-column",
        )
    return OpenedData(plan=plan, examples=examples)


def describe_file(name: str, checkpoint: Checkpoint, settings: Settings) -> FileInput:
    """The identity of a checkpoint, under the name it has in the report."""
    found = digest(checkpoint, whole=settings.hash_whole)
    return FileInput(
        name=name,
        path=str(checkpoint.path),
        format=checkpoint.format,
        bytes=sum(file.stat().st_size for file in checkpoint.files),
        digest=Absent(not_measured=f"{found.reason} (--hash)")
        if isinstance(found, NotMeasured)
        else Digest(method="sha256", value=found),
        notes=checkpoint.notes,
    )
