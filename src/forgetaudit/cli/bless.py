"""bless REPORT: keep what a report says as the accepted state, against which later runs are compared."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from forgetaudit import planning
from forgetaudit.cli import console
from forgetaudit.cli.outputs import OutputRequest, refuse_inputs, refuse_unwritable, write_whole
from forgetaudit.config import Config
from forgetaudit.errors import UsageError
from forgetaudit.judge.accepted import AcceptedState, accept, read_accepted
from forgetaudit.judge.saved import load_report
from forgetaudit.report.report import AuditReport
from forgetaudit.wording import points, some

__all__ = ["FILE", "accepted_state", "bless"]

FILE = "forgetaudit.accepted.json"
"""Beside the config, or in the working directory where there is none."""

Report = Annotated[
    Path, typer.Argument(metavar="REPORT", help="What --output json=PATH wrote.", show_default=False)
]
Variant = Annotated[
    str | None, typer.Option("--variant", metavar="NAME", help="Which one, of several tuned checkpoints.")
]
Reason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why, for whoever reads it later.")
]


def bless(report: Report, variant: Variant = None, reason: Reason = None) -> None:
    """Keep what REPORT says as the accepted state: later runs in this project say how they compare with it."""
    saved = load_report(report)
    path = planning.load_config(None, ignore=False).directory / FILE
    request = OutputRequest(format="json", path=path)
    refuse_unwritable(f"the accepted state {path}", request)
    refuse_inputs((request,), (report,))
    state = accept(
        saved,
        _one_variant(saved, variant),
        report_sha256=hashlib.sha256(report.read_bytes()).hexdigest(),
        today=datetime.now(UTC).date(),
        reason=reason,
    )
    before = read_accepted(path) if path.exists() else None
    write_whole(request.target, state.to_json())
    console.write_out(console.as_lines(_summary(state, before)))
    console.note(f"wrote {path}: commit it, so that later runs find it")


def accepted_state(config: Config) -> AcceptedState | None:
    """What was accepted in the config's folder; None where nothing was. UsageError where it cannot be read."""
    path = config.directory / FILE
    return read_accepted(path) if path.is_file() else None


def _one_variant(report: AuditReport, asked: str | None) -> str:
    names = [variant.name for variant in report.variants[1:]]
    if asked is None and len(names) == 1:
        return names[0]
    if asked not in names:
        fact = (
            f"the report has no variant {asked}"
            if asked
            else f"the report has {len(names)} tuned checkpoints"
        )
        raise UsageError(fact, hint=f"pass --variant {some(names, 8).replace(', ', ' or ')}")
    return asked


def _summary(state: AcceptedState, before: AcceptedState | None) -> list[str]:
    """What is accepted from now on, and what that was before."""
    lines = [f"accepted {state.path}, whose verdict is {state.outcome}"]
    for one in state.source:
        drop = (one.flips.forgotten - one.flips.gained) / one.n
        moved = "fell" if drop > 0 else "rose"
        change = f"{one.metric} {moved} {points(drop)} pt" if drop else f"{one.metric} is unchanged"
        lines.append(f"  {one.data}: {change}, forgotten {one.flips.forgotten} of {one.n:,}")
    if before is not None:
        lines.append(f"  instead of {before.path}, accepted on {before.accepted_on}")
    return lines
