"""--dry-run: what would be read and run, a label and its text, as wide as the terminal."""

import sys
import textwrap
from collections.abc import Iterable, Iterator

from forgetaudit.cli import console
from forgetaudit.cli.samples import described_rules
from forgetaudit.plan import AuditPlan

__all__ = ["plan_lines"]

_LABEL = 9


def plan_lines(plan: AuditPlan) -> Iterator[str]:
    """Every line. AuditError where the run would be refused before the first weight is read."""
    # Here the heavy imports wake up.
    from forgetaudit.audits.dry_run import dry_run

    yield from _under_labels(dry_run(plan))
    yield from described_rules(plan.policy)
    yield f"config   {plan.config or 'none'}"


def _under_labels(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """`label    text`, wrapped where the terminal is narrower; in a pipe a line each, whole."""
    width, _, _ = console.terminal_traits(sys.stdout)
    for label, text in rows:
        lines = [text]
        if width is not None:
            lines = textwrap.wrap(
                text, max(width - _LABEL, 20), break_on_hyphens=False, break_long_words=False
            )
        for place, line in enumerate(lines):
            yield f"{'' if place else label:<{_LABEL}}{line}"
