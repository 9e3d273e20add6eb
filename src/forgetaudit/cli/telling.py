"""A report to the screen and to the files asked for, and the exit code that it ends with."""

import sys
from collections.abc import Sequence

from forgetaudit.cli import console
from forgetaudit.cli.outputs import OutputRequest, write_outputs
from forgetaudit.errors import OutputError
from forgetaudit.renderers.headline import headlines
from forgetaudit.renderers.screen import decisions
from forgetaudit.renderers.terminal import render
from forgetaudit.report.gate import FAILED, INCONCLUSIVE, PASSED
from forgetaudit.report.report import AuditReport

__all__ = ["tell"]


def tell(
    report: AuditReport, requests: Sequence[OutputRequest], *, quiet: bool, verbose: bool, no_fail: bool
) -> int:
    """The report to the screen and to the files asked for; the exit code."""
    code = report.verdict.exit_code
    forgiven = no_fail and code in (FAILED, INCONCLUSIVE)
    exit_note = f"{PASSED} (--no-fail; the verdict asks for {code})" if forgiven else str(code)
    width, colour, unicode = console.terminal_traits(sys.stdout)
    if verbose:
        for decision in decisions(report):
            console.note(decision)
    try:
        console.write_out(
            console.as_lines(headlines(report))
            if quiet
            else render(report, width=width, colour=colour, unicode=unicode, exit_note=exit_note)
        )
    except (BrokenPipeError, OutputError):
        # The screen is lost; what a long run found is not.
        _save(report, requests, exit_note)
        raise
    # After the screen, so that a full disk does not cost both.
    _save(report, requests, exit_note)
    return PASSED if forgiven else code


def _save(report: AuditReport, requests: Sequence[OutputRequest], exit_note: str) -> None:
    if written := write_outputs(report, requests, exit_note):
        console.note(f"wrote {', '.join(written)}")
