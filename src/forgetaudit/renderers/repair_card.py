"""The card that lies beside repaired weights: what was done to them, and what it was confirmed to do."""

from collections.abc import Iterator

from forgetaudit.renderers import numbers
from forgetaudit.renderers.drop_words import span
from forgetaudit.renderers.markdown_text import code, prose
from forgetaudit.renderers.repair_words import strength_words
from forgetaudit.report.parts import Absent
from forgetaudit.report.repair import RepairConfirmation
from forgetaudit.report.report import AuditReport

__all__ = ["CARD", "repair_card"]

CARD = "forgetaudit-card.md"


def repair_card(report: AuditReport) -> str:
    """As Markdown. ValueError for a report of another command, or of a repair that confirmed nothing."""
    repair = report.repair
    if repair is None or isinstance(repair.confirmed, Absent):
        raise ValueError("the report confirms no repair")
    return "\n".join([*_done(report), "", *_confirmed(repair.confirmed), "", *_made(report)]) + "\n"


def _done(report: AuditReport) -> Iterator[str]:
    repair = report.repair
    assert repair is not None  # noqa: S101
    yield "# Repaired by forgetaudit"
    yield ""
    yield (
        f"{code(repair.tuned_name)}, with {code(repair.chosen or '')}: each tensor is θ₀ + λ(θ₁ − θ₀), of base θ₀ "
        f"and tuned θ₁{_edited(repair.edited)}."
    )
    yield ""
    yield "| part of the network | λ |"
    yield "|---|---|"
    yield from (f"| {code(part)} | {strength_words(ends)} |" for part, ends in repair.strengths.items())
    yield ""
    yield (
        "Integer tensors, such as counters, are tuned's or, at λ = 0, base's. Parts that are not named had not "
        "changed."
    )
    yield from (f"\n{prose(note)}" for note in repair.notes)


def _edited(slots: tuple[str, ...]) -> str:
    if not slots:
        return ""
    named = ", ".join(code(slot) for slot in slots[:4]) + (", …" if len(slots) > 4 else "")
    return f", but for {len(slots)} that {'were' if len(slots) > 1 else 'was'} computed anew: {named}"


def _confirmed(found: RepairConfirmation) -> Iterator[str]:
    yield (
        f"Confirmed on {found.n:,} held-out {found.unit}s of {code(found.data)} that the remedy was not chosen on, "
        "by the bytes of these files:"
    )
    yield ""
    yield "| data | base | tuned | repaired | change, two-sided 95 % |"
    yield "|---|---|---|---|---|"
    gain = (
        "·"
        if isinstance(found.gain, Absent)
        else f"{numbers.signed_points(-found.gain.estimate)} pt {span(found.gain)}"
    )
    yield (
        f"| {code(found.data)} | {numbers.percent(found.base)} | {numbers.percent(found.tuned)} | "
        f"{numbers.percent(found.repaired)} | {gain} |"
    )
    if isinstance(found.target, Absent) or isinstance(found.target_tuned, Absent):
        yield "\nTarget accuracy was not measured."
    elif not isinstance(found.target_repaired, Absent) and not isinstance(found.target_loss, Absent):
        loss = f"{numbers.signed_points(found.target_loss.estimate)} pt; loss {span(found.target_loss)}"
        yield (
            f"| {code(found.target)} (target) | · | {numbers.percent(found.target_tuned)} | "
            f"{numbers.percent(found.target_repaired)} | {loss} |"
        )


def _made(report: AuditReport) -> Iterator[str]:
    inputs = report.inputs
    for file in (inputs.base, *inputs.tuned):
        known = file.digest.not_measured if isinstance(file.digest, Absent) else f"sha256 {file.digest.value}"
        yield f"- {file.name}: {code(file.named or file.path)}, {known}"
    version = inputs.versions.get("forgetaudit", "")
    yield f"- forgetaudit {version}; the whole report is in forgetaudit-repair.json where this is a folder"
