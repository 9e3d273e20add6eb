"""Which command's report is shown by which view."""

from collections.abc import Callable, Iterator, Sequence

from forgetaudit.renderers.blocks import Block, Tone, Verdict
from forgetaudit.renderers.views import compare, locate, repair, trace, weights
from forgetaudit.report.report import AuditReport

__all__ = ["blocks_of", "over_all"]

View = Callable[[AuditReport, str], Iterator[Block]]
_VIEWS: dict[str, View] = {
    "compare": compare.blocks,
    "locate": locate.blocks,
    "repair": repair.blocks,
    "trace": trace.blocks,
    "weights": weights.blocks,
}
# The worst first.
_ORDER = (
    "FAIL",
    "REFUSED",
    "NOT REPAIRED",
    "INCONCLUSIVE",
    "LOCATED",
    "NOT LOCATED",
    "PREVIEW, NOT TO BE TRUSTED",
)
_REST = ("PREVIEW", "NOT JUDGED", "REPAIRED", "PASS")


def blocks_of(report: AuditReport, exit_note: str = "") -> Iterator[Block]:
    """What the report says. `exit_note` says what the caller does with the exit code."""
    return _VIEWS.get(report.command, compare.blocks)(report, exit_note)


def over_all(report: AuditReport, blocks: Sequence[Block]) -> Verdict:
    """The only verdict; of several how many came out how, under the word of the worst."""
    verdicts = [block for block in blocks if isinstance(block, Verdict)]
    if len(verdicts) == 1:
        return verdicts[0]
    words = [verdict.word for verdict in verdicts]
    ranked = [word for word in (*_ORDER, *_REST) if word in words]
    counts = ", ".join(f"{words.count(word)} {word.lower()}" for word in ranked)
    worst = ranked[0] if ranked else "NOT JUDGED"
    tone: Tone = next((verdict.tone for verdict in verdicts if verdict.word == worst), "warn")
    sentence = f"{len(verdicts)} comparisons: {counts}" if verdicts else "nothing was compared"
    return Verdict(command=report.command, subject="", word=worst, tone=tone, sentence=sentence)
