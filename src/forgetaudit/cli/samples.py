"""compare --samples A B: its own options, and which of compare's others apply to logs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from forgetaudit.audits.lm_eval_logs import SamplesPlan
from forgetaudit.cli.explicit_options import typed_options
from forgetaudit.config import Config
from forgetaudit.errors import UsageError
from forgetaudit.paths import looked_up
from forgetaudit.policy import Policy

__all__ = [
    "Filter",
    "Metric",
    "Samples",
    "described",
    "described_rules",
    "missing_checkpoint",
    "plan_samples",
    "refuse_without_samples",
]

_LOGS = "Logs of lm-eval"

Samples = Annotated[
    tuple[Path, Path] | None,
    typer.Option(
        "--samples",
        metavar="BASE.jsonl TUNED.jsonl",
        help="Two logs that lm-eval wrote with --log_samples, instead of checkpoints.",
        rich_help_panel=_LOGS,
        show_default=False,
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        "--metric", metavar="NAME", help="The metric of the logs that decides.", rich_help_panel=_LOGS
    ),
]
Filter = Annotated[
    str | None,
    typer.Option(
        "--filter", metavar="NAME", help="The filter that read off the answers.", rich_help_panel=_LOGS
    ),
]

# Everything else of `compare` says how a network is found or run, or limits what a log does not hold.
_APPLY = {
    "samples", "metric", "filter_", "max_drop", "confidence", "min_samples", "fail_when", "on_inconclusive",
    "no_fail", "config", "no_config", "output", "quiet", "verbose", "dry_run",
}  # fmt: skip
_GEOMETRY = {"min_cka", "max_distance", "frozen"}


def plan_samples(
    context: typer.Context,
    samples: tuple[Path, Path],
    *,
    metric: str | None,
    filter_: str | None,
    policy: Policy,
    config: Config,
) -> SamplesPlan:
    """The plan; UsageError where a word was typed that says nothing about logs."""
    _refuse_beside_samples(context)
    base, tuned = (looked_up(path, "--samples") for path in samples)
    return SamplesPlan(
        base=base,
        tuned=tuned,
        metric=metric,
        filter=filter_,
        policy=policy,
        config=config.name,
    )


def described(plan: SamplesPlan) -> Iterator[str]:
    """What --dry-run says."""
    yield f"base     {plan.base}, a log"
    yield f"tuned    {plan.tuned}, a log"
    yield f"metric   {plan.metric or 'acc, exact_match or the only one'}"
    yield f"filter   {plan.filter or 'the only one'}"
    yield from described_rules(plan.policy)
    yield f"config   {plan.config or 'none'}"


def described_rules(policy: Policy) -> Iterator[str]:
    """A line a rule, for --dry-run."""
    for rule in policy.rules:
        wanted = ", ".join(rule.patterns) or (f"{rule.limit:g}" + (" of base" if rule.relative else ""))
        yield f"rule     {rule.name} {wanted}, level {rule.level}"


def refuse_without_samples(context: typer.Context) -> None:
    """UsageError for --metric and --filter where no logs were passed."""
    if typed := typed_options(context, {"metric", "filter_"}):
        raise UsageError(
            f"{', '.join(typed)} {'needs' if len(typed) == 1 else 'need'} --samples",
            hint="pass two logs of lm-eval with --samples, or leave it out",
        )


def missing_checkpoint(name: str) -> UsageError:
    """For a comparison with neither checkpoints nor logs."""
    return UsageError(
        f"missing argument '{name}'", hint="pass BASE and TUNED, or two logs with --samples; see --help"
    )


def _refuse_beside_samples(context: typer.Context) -> None:
    if typed := typed_options(context, {"base", "tuned"}):
        raise UsageError(
            f"{' and '.join(typed)} cannot be given beside --samples",
            details=["the logs hold what both models answered, so no checkpoint is read"],
            hint="pass either checkpoints or --samples",
        )
    if typed := typed_options(context, _GEOMETRY):
        raise UsageError(
            f"{', '.join(typed)} cannot be judged from --samples",
            details=["the logs hold answers, neither features nor weights"],
            hint="leave it out, or pass checkpoints instead",
        )
    others = {str(parameter.name) for parameter in context.command.params} - _APPLY
    if typed := typed_options(context, others):
        raise UsageError(
            f"{', '.join(typed)} {'says' if len(typed) == 1 else 'say'} nothing about --samples",
            details=["the logs hold answers, so no data are read and no model is run"],
            hint="leave it out, or pass checkpoints instead",
        )
