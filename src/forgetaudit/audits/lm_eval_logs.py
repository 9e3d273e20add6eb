"""compare --samples: two logs of another evaluator, paired by document and judged. No model runs; no torch."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from forgetaudit.audits.lm_eval_log_scores import kind_of, score_section, source_section
from forgetaudit.audits.provenance import Clock, gate_settings, versions
from forgetaudit.errors import DataError, UsageError
from forgetaudit.judge.finding_context import finding
from forgetaudit.judge.findings import FindingContext, find
from forgetaudit.judge.gate import judge
from forgetaudit.logs.answers import Log
from forgetaudit.logs.lm_eval import read_log
from forgetaudit.logs.metrics import SelectedMetric, choose_metric
from forgetaudit.logs.pairing import Pair, choose_filter, pair_answers, task_of
from forgetaudit.policy import Policy, RuleKind
from forgetaudit.progress import SILENT, Progress
from forgetaudit.report.behaviour import ScoreSection, SourceSection
from forgetaudit.report.inputs import DataInput, Digest, FileInput, Inputs, VariantName
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import Finding, Verdict

__all__ = ["LogPair", "SamplesPlan", "compare_samples", "pair_logs"]

_NO_MODEL = Absent(not_measured="logs of answers were compared (--samples), and no model was run")
_NO_FEATURES = Absent(not_measured="logs of answers (--samples) hold no features")
_NO_WEIGHTS = Absent(not_measured="logs of answers (--samples) hold no weights")
_TUNED = VariantName(name="tuned")


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplesPlan:
    """What a comparison of logs will read and judge. `metric` and `filter` are None where the logs decide."""

    base: Path
    tuned: Path
    metric: str | None = None
    filter: str | None = None
    policy: Policy = field(default_factory=Policy)
    config: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPair:
    """Two logs of one task, paired and measured: `data` is the task's name, `n` its documents."""

    data: str
    n: int
    fingerprint: str
    source: tuple[SourceSection, ...]
    scores: tuple[ScoreSection, ...]
    decisions: tuple[str, ...]


def pair_logs(base: Log, tuned: Log, *, policy: Policy) -> LogPair:
    """What `compare_samples` measures, for logs at hand, where the logs decide on filter and metric."""
    filter_, why = choose_filter(base, tuned, None)
    pairs, chosen = _paired(base, tuned, filter_, None, policy)
    data = task_of(base, tuned) or "samples"
    source, scores = _sections(data, pairs, chosen)
    return LogPair(
        data=data,
        n=len(pairs),
        fingerprint=_fingerprint(pairs),
        source=() if isinstance(source, Absent) else source,
        scores=scores,
        decisions=(f"{kind_of(pairs).value}: {len(pairs)} documents", _hashes(pairs), why, chosen.decision),
    )


def compare_samples(plan: SamplesPlan, *, progress: Progress = SILENT) -> AuditReport:
    """Pair both logs by document, count what flipped, and judge it.

    DataError where the logs cannot be read or are not of the same documents, prompts and targets; UsageError where a
    filter or metric must be chosen, or a limit on accuracy meets a metric that is not right or wrong.
    """
    clock = Clock()
    base, tuned = _read(plan.base, "base", progress), _read(plan.tuned, "tuned", progress)
    clock.lap("read")
    data = task_of(base, tuned) or "samples"
    filter_, why_filter = choose_filter(base, tuned, plan.filter)
    pairs, chosen = _paired(base, tuned, filter_, plan.metric, plan.policy)
    clock.lap("pair")
    return _report(plan, (base, tuned), data, pairs, chosen, (filter_, why_filter), clock)


def _paired(
    base: Log, tuned: Log, filter_: str, metric: str | None, policy: Policy
) -> tuple[Sequence[Pair], SelectedMetric]:
    pairs = pair_answers(base, tuned, filter_)
    if len(pairs) < 2:
        raise DataError(
            "the logs hold one document, from which nothing can be concluded",
            hint="run lm-eval on a few hundred",
        )
    names = [name for name in base.filters[filter_].metrics if name in tuned.filters[filter_].metrics]
    chosen = choose_metric(pairs, names, metric)
    if not chosen.metric.is_binary:
        _refuse_limit_on_accuracy(policy, chosen)
    return pairs, chosen


def _sections(
    data: str, pairs: Sequence[Pair], chosen: SelectedMetric
) -> tuple[tuple[SourceSection, ...] | Absent, tuple[ScoreSection, ...]]:
    """What decides, if it is right or wrong, and everything else."""
    metric = chosen.metric
    source: tuple[SourceSection, ...] | Absent = (
        (source_section(data, pairs, metric),)
        if metric.is_binary
        else Absent(not_measured=f"{metric.name} is a number for each example, not right or wrong")
    )
    others = chosen.others if metric.is_binary else (metric, *chosen.others)
    scores = [score_section(data, other) for other in others]
    return source, tuple(score for score in scores if not _repeats_log_loss(score, source))


def _read(path: Path, name: str, progress: Progress) -> Log:
    size = path.stat().st_size if path.is_file() else 0
    with progress.phase(f"reading the log of {name}", size, "bytes") as advance:
        return read_log(path, advance)


def _refuse_limit_on_accuracy(policy: Policy, chosen: SelectedMetric) -> None:
    """Points of examples cannot limit what is not a share of examples."""
    if not any(rule.kind is RuleKind.ACCURACY for rule in policy.rules):
        return
    binary = [metric.name for metric in chosen.others if metric.is_binary]
    raise UsageError(
        f"--max-drop limits the share of right answers, and {chosen.metric.name} is not right or wrong",
        details=[f"it is a number for each example; the limit was given by the {policy.source}"],
        hint=f"judge another metric: --metric {binary[0]}"
        if binary
        else "leave the limit out (--no-config, if a config gives it): the report has the paired difference",
    )


def _report(
    plan: SamplesPlan,
    logs: tuple[Log, Log],
    data: str,
    pairs: Sequence[Pair],
    chosen: SelectedMetric,
    filtered: tuple[str, str],
    clock: Clock,
) -> AuditReport:
    """Everything measured, put together, judged, and looked through for findings."""
    metric = chosen.metric
    source, scores = _sections(data, pairs, chosen)
    verdict = judge(
        plan.policy,
        source=source,
        features=_NO_FEATURES,
        weights=_NO_WEIGHTS,
        variants=(_TUNED.name,),
        today=clock.today,
    )
    base, tuned = logs
    return AuditReport(
        command="compare",
        verdict=verdict,
        inputs=Inputs(
            base=_file("base", base),
            tuned=(_file("tuned", tuned),),
            model=_NO_MODEL,
            data=(_described(data, logs, pairs, (filtered[1], chosen.decision)),),
            settings={
                "samples": "lm-eval",
                "metric": metric.name,
                "filter": filtered[0],
                "gate": gate_settings(plan.policy),
            },
            versions=versions(),
        ),
        variants=(VariantName(name="base"), _TUNED),
        source=source,
        features=_NO_FEATURES,
        weights=_NO_WEIGHTS,
        scores=scores,
        findings=_findings(logs, source, verdict),
        run=clock.laps(),
    )


def _repeats_log_loss(score: ScoreSection, source: tuple[SourceSection, ...] | Absent) -> bool:
    """lm-eval's perplexity of single answers is the log loss that stands beside the accuracy."""
    return (
        score.unit == "nats/example"
        and not isinstance(source, Absent)
        and not isinstance(source[0].nll.increase, Absent)
    )


def _findings(
    logs: tuple[Log, Log], source: tuple[SourceSection, ...] | Absent, verdict: Verdict
) -> tuple[Finding, ...]:
    facts = FindingContext(
        variant=_TUNED,
        weights=None,
        source=() if isinstance(source, Absent) else source,
        features=(),
        verdict=verdict,
    )
    base, tuned = logs
    if base.sha256 != tuned.sha256:
        return find(facts)
    same = finding(
        facts,
        "identical-logs",
        "the logs are equal byte for byte: tuned answers as base does, or one log was passed twice",
        "check that it was tuned that was evaluated, and that its log was passed second",
        severity="medium",
        evidence={"sha256": base.sha256},
    )
    return (same, *find(facts))


def _file(name: str, log: Log) -> FileInput:
    return FileInput(
        name=name,
        path=log.path,
        format="lm-eval samples",
        bytes=log.n_bytes,
        digest=Digest(method="sha256", value=log.sha256),
    )


def _described(
    data: str, logs: tuple[Log, Log], pairs: Sequence[Pair], decisions: tuple[str, ...]
) -> DataInput:
    return DataInput(
        data=data,
        where=logs[0].path,
        n=len(pairs),
        fingerprint=_fingerprint(pairs),
        classes=None,
        decisions=(
            f"{kind_of(pairs).value}: {len(pairs)} documents, paired by doc_hash",
            _hashes(pairs),
            *decisions,
        ),
    )


def _hashes(pairs: Sequence[Pair]) -> str:
    n = sum(bool(pair.base.prompt_hash and pair.tuned.prompt_hash) for pair in pairs)
    if n == len(pairs):
        return "prompts and targets are the same in both logs"
    return f"prompts could be compared for {n} of {len(pairs)} documents only: the logs hold no more hashes"


def _fingerprint(pairs: Sequence[Pair]) -> str:
    """Of what was asked, whatever was answered and in whatever order it was logged."""
    asked = sorted(f"{pair.base.doc_hash} {pair.base.prompt_hash} {pair.base.target_hash}" for pair in pairs)
    return hashlib.sha256("\n".join(asked).encode()).hexdigest()
