"""What goes into an audit, opened and described: checkpoints and data."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from forgetaudit.audits.files import describe_file
from forgetaudit.audits.network import Network
from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example, Examples
from forgetaudit.data.readers import open_examples
from forgetaudit.errors import AuditError, DataError, UsageError
from forgetaudit.gaps import Gap, Notes, gaps_in
from forgetaudit.models.architecture import Preparation
from forgetaudit.models.evidence import find_evidence
from forgetaudit.plan import AuditPlan, DataPlan, Settings, utf8
from forgetaudit.report.inputs import DataInput
from forgetaudit.tasks.other_kinds import refused_kind
from forgetaudit.tasks.registry import SelectedTask, make_task
from forgetaudit.tasks.task import Setting, Task

__all__ = ["OpenedData", "describe_file", "open_data", "refuse_other_kind"]

CLASSIFICATION = "classification"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedData:
    """A source data set, its examples at hand, and the task that they set the network, once that is known.

    `own` is the task of each variant that is given inputs of its own. `seen` are gaps that running it showed, and
    what is made from these data has them, too.
    """

    plan: DataPlan
    examples: Examples
    chosen: SelectedTask | None = None
    own: Mapping[str, SelectedTask] = field(default_factory=dict)
    seen: list[Gap] = field(default_factory=list)

    def for_network(self, network: Network, task: str | None) -> "OpenedData":
        """The same data with the task called `task`, or the one that data and network are made for.

        DataError where data and network do not fit each other, their classes included.
        """
        setting = self.setting(network.described.name, network.task, network.class_names, network.preparation)
        chosen = make_task(task, setting)
        if network.own_preparations and chosen.name != CLASSIFICATION:
            raise UsageError(
                f"--preprocess each is for classification, and {self.plan.name} is a matter of {chosen.name}",
                details=[
                    "answers are paired token by token, and what two tokenizers read has no common tokens"
                ],
                hint="leave the option out: base's tokenizer is then used for both",
            )
        own = {
            name: make_task(task, replace(setting, preprocess=p.preprocess, encode=p.encode, tokens=p.tokens))
            for name, p in network.own_preparations.items()
        }
        return replace(self, chosen=chosen, own=own)

    def setting(
        self, model: str, task: str | None, class_names: tuple[str, ...] | None, preparation: Preparation
    ) -> Setting:
        """What a task is made from: these data, and a model, what it was made for, its classes, and its inputs."""
        return Setting(
            data=self.plan.name,
            model=model,
            model_task=task,
            of_text=self.examples.of_text,
            of_choices=self.examples.of_choices,
            labelled=self.examples.labelled,
            decisions=self.examples.decisions,
            class_names=self.examples.class_names,
            labels_present=self.examples.labels_present,
            model_class_names=class_names,
            preprocess=preparation.preprocess,
            encode=preparation.encode,
            tokens=preparation.tokens,
            sentences=preparation.sentences,
        )

    def collate(self, examples: list[Example]) -> Batch:
        """One batch as the task makes it; where variants have inputs of their own, with theirs beside it."""
        batch = self.task.collate(examples)
        own = {name: chosen.task.collate(examples) for name, chosen in self.own.items()}
        return replace(batch, own=own) if own else batch

    @property
    def task(self) -> Task:
        """What the network is asked."""
        assert self.chosen is not None  # noqa: S101
        return self.chosen.task

    @property
    def labelled(self) -> bool:
        """Whether something says what is right: the data's labels, or the task, as the next token does."""
        return self.examples.labelled or self.task_name != "classification"

    @property
    def task_name(self) -> str:
        """What the report calls it."""
        assert self.chosen is not None  # noqa: S101
        return self.chosen.name

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What of these data was not read, or not as it stands; all of it is known after the run."""
        notes: Notes = self.examples.decisions
        if self.chosen is not None:
            notes += self.chosen.task.decisions()
        own = tuple(
            replace(gap, variant=name)
            for name, chosen in self.own.items()
            for gap in gaps_in(chosen.task.decisions())
        )
        return tuple(replace(gap, data=self.plan.name) for gap in (*gaps_in(notes), *own, *self.seen))

    def described(self) -> DataInput:
        """For the report, after the run: what was read, and every decision on the way."""
        examples = self.examples
        said = () if self.chosen is None else (self.chosen.decision, *map(str, self.chosen.task.decisions()))
        for name, chosen in self.own.items():
            said += tuple(f"{name}: {text}" for text in map(str, chosen.task.decisions()) if text not in said)
        return DataInput(
            data=self.plan.name,
            where=utf8(self.plan.where),
            n=len(examples),
            fingerprint=examples.fingerprint,
            classes=examples.class_names,
            decisions=tuple(utf8(str(text)) for text in (self.plan.decision, *examples.decisions, *said)),
        )


def refuse_other_kind(plan: AuditPlan) -> None:
    """ModelError where the files beside BASE say that it chooses no single label; before its data are read by one.

    Silent where nothing says it, or a task of the user's is asked for.
    """
    if plan.model is not None or not plan.data or plan.settings.task not in (None, CLASSIFICATION):
        return
    try:
        evidence = find_evidence(plan.base)
    except AuditError:
        return  # said where the network is built
    if (kind := evidence.other_kind) is not None and evidence.sentences is None:
        raise refused_kind(evidence.model, kind, f"told by {evidence.folder / 'config.json'}")


def open_data(plan: DataPlan, settings: Settings) -> OpenedData:
    """DataError where it cannot be read, or is too small to say anything about two models."""
    examples = open_examples(
        plan.where,
        directory=plan.directory,
        split=plan.split,
        input_column=plan.input_column,
        label_column=plan.label_column,
        group_column=settings.group_by or settings.strata,
        group_option="--strata" if settings.strata else "--group-by",
        shuffled=settings.stop_early,
        limit=settings.limit,
        seed=settings.seed,
    )
    if len(examples) < 2:
        raise DataError(
            f"{plan.where} holds one example, from which nothing can be concluded",
            hint="pass a few hundred held-out examples",
        )
    return OpenedData(plan=plan, examples=examples)
