"""Tasks that lm-eval runs: both models asked by it, its answers paired as those of its logs are."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forgetaudit.audits.lm_eval_logs import LogPair, pair_logs
from forgetaudit.audits.network import Network
from forgetaudit.data.arguments import HARNESS
from forgetaudit.engine.variants import Variant, slots
from forgetaudit.errors import ModelError, UsageError
from forgetaudit.logs.answers import Log
from forgetaudit.logs.lm_eval import read_log
from forgetaudit.plan import AuditPlan, DataPlan, utf8
from forgetaudit.plugins import find_part
from forgetaudit.progress import Progress
from forgetaudit.report.behaviour import ScoreSection, SourceSection
from forgetaudit.report.inputs import DataInput

__all__ = ["HarnessData", "LmEvalResult", "is_of_harness", "open_harness"]

# Above this row, and found by name.
_PARTS = {"lm-eval": "forgetaudit.integrations.lm_eval:Harness"}
_GROUP = "forgetaudit.harness"


@dataclass(frozen=True, slots=True, kw_only=True)
class LmEvalResult:
    """What lm-eval found of every tuned variant against base, and the tasks that it asked."""

    source: tuple[SourceSection, ...]
    scores: tuple[ScoreSection, ...]
    data: tuple[DataInput, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessData:
    """A task or group of tasks of lm-eval, not asked yet."""

    plan: DataPlan
    harness: Any

    def ask(self, network: Network, plan: AuditPlan, progress: Progress) -> LmEvalResult:
        """Every variant through the harness, each tuned one paired with base. AuditError as for logs."""
        logs = self._logs(network, plan, progress)
        pairs = [
            (name, pair_logs(base, tuned, policy=plan.policy))
            for name in plan.names
            for base, tuned in zip(logs["base"], logs[name], strict=True)
        ]
        several = len(logs["base"]) > 1
        return LmEvalResult(
            source=tuple(
                section.model_copy(update={"variant": name, "data": self._name(pair, several=several)})
                for name, pair in pairs
                for section in pair.source
            ),
            scores=tuple(
                section.model_copy(update={"variant": name, "data": self._name(pair, several=several)})
                for name, pair in pairs
                for section in pair.scores
            ),
            data=tuple(
                self._described(pair, several=several) for name, pair in pairs if name == plan.names[0]
            ),
        )

    def _described(self, pair: LogPair, *, several: bool) -> DataInput:
        return DataInput(
            data=self._name(pair, several=several),
            where=utf8(self.plan.where),
            n=pair.n,
            fingerprint=pair.fingerprint,
            classes=None,
            decisions=(utf8(self.plan.decision), *pair.decisions),
        )

    def _name(self, pair: LogPair, *, several: bool) -> str:
        """Of a group, the task as well."""
        return f"{self.plan.name}/{pair.data}" if several else self.plan.name

    def _logs(self, network: Network, plan: AuditPlan, progress: Progress) -> Mapping[str, list[Log]]:
        tokenizer = getattr(network.preparation.encode, "tokenizer", None)
        if tokenizer is None:
            raise ModelError(
                f"{network.described.name} has no tokenizer, and lm-eval asks language models",
                hint="pass a causal language model that was saved with its tokenizer",
            )
        logs: dict[str, list[Log]] = {}
        with (
            tempfile.TemporaryDirectory() as folder,
            network.limited_threads(),
            progress.phase(f"lm-eval: {self.harness.name}", len(network.variants), "models") as advance,
        ):
            for variant in network.variants:
                with _with_weights(network, variant):
                    paths = self.harness.write_samples(
                        network.skeleton,
                        tokenizer,
                        Path(folder) / variant.name,
                        batch_size=plan.settings.batch_size,
                    )
                logs[variant.name] = [read_log(path, lambda _: None) for path in paths]
                advance(1)
        return logs


def is_of_harness(plan: DataPlan) -> bool:
    """Whether lm-eval holds these data."""
    return plan.where.startswith(HARNESS)


def open_harness(plan: DataPlan, whole: AuditPlan) -> HarnessData:
    """ModelError where lm-eval is not installed; UsageError for options that say how we would ask."""
    settings = whole.settings
    idle = {
        "--task": settings.task,
        "--limit": settings.limit,
        "--group-by": settings.group_by,
        "--strata": settings.strata,
        "--stop-early": settings.stop_early,
        "--noise-floor": settings.noise_floor,
        "--preprocess": settings.preprocess != "base",
        "--examples": whole.examples,
        "--rehearsal": whole.rehearsal,
        "--input-column": plan.input_column,
        "--label-column": plan.label_column,
    }
    if typed := [option for option, value in idle.items() if value]:
        raise UsageError(
            f"{', '.join(typed)} {'does' if len(typed) == 1 else 'do'} not apply to --data {plan.where}",
            details=["lm-eval reads the data and asks the models as its task says"],
            hint="say it in the YAML of the task, or pass the data themselves",
        )
    task = plan.where.removeprefix(HARNESS)
    made = find_part("lm-eval", _PARTS, group=_GROUP, option="--data").load()
    return HarnessData(plan=plan, harness=made(task, plan.directory))


@contextmanager
def _with_weights(network: Network, variant: Variant) -> Iterator[None]:
    """The skeleton with the weights of `variant`; base's are put back."""
    places = slots(network.skeleton)
    try:
        for name, slot in places.items():
            slot.hang(variant.tensors[name])
        yield
    finally:
        for name, slot in places.items():
            slot.hang(network.variants[0].tensors[name])
