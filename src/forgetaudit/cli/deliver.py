"""A report to the screen and to the files asked for, and the exit code that it ends with."""

import sys
from collections.abc import Callable, Iterable, Sequence

from forgetaudit.cli import console
from forgetaudit.cli.output_options import OutputOptions
from forgetaudit.cli.outputs import OutputRequest, write_outputs
from forgetaudit.errors import OutputError
from forgetaudit.judge.gate import FAILED, INCONCLUSIVE, PASSED
from forgetaudit.renderers.headline import headlines
from forgetaudit.renderers.lines import Line
from forgetaudit.renderers.provenance import decisions
from forgetaudit.renderers.terminal import render, render_lines
from forgetaudit.report.report import AuditReport

__all__ = ["deliver"]

Screen = Callable[[AuditReport, str], Iterable[Line]]


def deliver(
    report: AuditReport,
    requests: Sequence[OutputRequest],
    telling: OutputOptions,
    *,
    no_fail: bool = False,
    brief: Callable[[AuditReport], Iterable[str]] = headlines,
    screen: Screen | None = None,
) -> int:
    """The report to the screen and to the files asked for; the exit code.

    `brief` is what --quiet leaves of the screen; `screen` has its lines where they are not those of every such report.
    """
    code = report.exit_code
    forgiven = no_fail and code in (FAILED, INCONCLUSIVE)
    exit_note = f"{PASSED} (--no-fail; the verdict asks for {code})" if forgiven else str(code)
    if telling.verbose:
        for decision in decisions(report):
            console.note(decision)
    try:
        console.write_out(
            console.as_lines(brief(report)) if telling.quiet else _full_text(report, exit_note, screen)
        )
    except (BrokenPipeError, OutputError):
        # The screen is lost; what a long run found is not.
        _save(report, requests, exit_note)
        raise
    # After the screen, so that a full disk does not cost both.
    _save(report, requests, exit_note)
    return PASSED if forgiven else code


def _full_text(report: AuditReport, exit_note: str, screen: Screen | None) -> str:
    width, colour, unicode = console.terminal_traits(sys.stdout)
    if screen is None:
        return render(report, width=width, colour=colour, unicode=unicode, exit_note=exit_note)
    return render_lines(screen(report, exit_note), width=width, colour=colour, unicode=unicode)


def _save(report: AuditReport, requests: Sequence[OutputRequest], exit_note: str) -> None:
    if written := write_outputs(report, requests, exit_note):
        console.note(f"wrote {', '.join(written)}")
