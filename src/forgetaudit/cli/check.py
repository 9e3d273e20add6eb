"""check REPORT: a saved report judged again, by another policy or on another day. No torch, no checkpoint, no data."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from forgetaudit import planning
from forgetaudit.cli import console
from forgetaudit.cli.bless import accepted_state
from forgetaudit.cli.deliver import deliver
from forgetaudit.cli.gate_options import Gate
from forgetaudit.cli.option_groups import Only, expand_groups
from forgetaudit.cli.output_options import OutputOptions
from forgetaudit.cli.outputs import refuse_inputs
from forgetaudit.config import Config, read_config
from forgetaudit.errors import UsageError
from forgetaudit.judge.accepted import compare_with_accepted
from forgetaudit.judge.policy_record import policy_of
from forgetaudit.judge.rejudge import rejudged
from forgetaudit.judge.saved import load_report
from forgetaudit.report.report import AuditReport

__all__ = ["check"]

Report = Annotated[
    Path, typer.Argument(metavar="REPORT", help="What --output json=PATH wrote.", show_default=False)
]
PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        metavar="FILE",
        help="Judge by the [gate] of this config; by the policy of the report itself otherwise.",
        rich_help_panel="Gate",
    ),
]


@expand_groups
def check(
    report: Report,
    policy: PolicyFile = None,
    *,
    gate: Gate,
    telling: Annotated[OutputOptions, Only("output", "quiet", "verbose")],
) -> None:
    """Judge a saved report again: by another policy, other limits, or on another day. Runs nothing."""
    requests = telling.requests()
    refuse_inputs(requests, (report, *(() if policy is None else (policy,))))
    saved = load_report(report)
    settled = _settled(saved, policy)
    rules = planning.plan_policy(gate, settled)
    if not rules.rules:
        raise UsageError(
            f"there is no rule to judge {report} by",
            hint="pass --policy FILE, or a limit as in --max-drop 2pt",
        )
    accepted = accepted_state(settled)
    judged = compare_with_accepted(rejudged(saved, rules, today=datetime.now(UTC).date()), accepted)
    if not telling.quiet:
        typed = " and what was typed" if rules != settled.policy else ""
        console.note(f"judged by {policy or 'the policy of the report'}{typed}")
    raise typer.Exit(deliver(judged, requests, telling, no_fail=gate.no_fail))


def _settled(saved: AuditReport, policy: Path | None) -> Config:
    """The policy's own file, else what the report was judged by."""
    if policy is not None:
        config = read_config(policy)
        if not config.policy.rules:
            raise UsageError(f"{policy} has no rules", hint="give it a table [gate.rules]")
        return config
    own = policy_of(saved.inputs.settings.get("gate") or {})
    here = planning.load_config(None, ignore=False).directory
    return Config(directory=here) if own is None else Config(directory=here, policy=own)
