"""Whether a network answers alike when it is asked the same twice: what cannot be seen on it shows in its answers.

A few examples are asked twice of a plain copy and then of the skeleton as the stream runs it, before the first batch;
and again now and then, and at the end, for what changes later. The first variant is asked the whole first batch once
more, for what happens on large batches only. Cost, of at most four variants: 12 rows of the first and 6 of each other
before; the first batch; 4 and 2 at the end, and 4 of the first each time that the number of batches has doubled.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from forgetaudit.data.batches import Batch
from forgetaudit.engine.alike import equal_answers, repeatable_kernels
from forgetaudit.engine.copies import Copy
from forgetaudit.engine.find_difference import KEEPS, detached, find_difference
from forgetaudit.engine.module_state import RandomState
from forgetaudit.engine.passes import Call, CarriedState, Moment, Passes, Result
from forgetaudit.engine.variants import Variant, slots
from forgetaudit.errors import AuditError, ModelError
from forgetaudit.gaps import Gap

__all__ = ["Witness"]

_MOST_VARIANTS, _MOST_EXAMPLES, _EXAMPLES_OF_OTHERS = 4, 4, 2
_OTHER_SEED = 271_828
_ADVICE = "let forward draw no random numbers and keep nothing from call to call in evaluation mode"


_EXCHANGE = Gap(
    ident="not-repeatable",
    what="weights cannot be exchanged on this network, which refers to some: each checkpoint ran on its own copy",
    advice="let forward read parameters from their modules",
    holds="nothing",
)


@dataclass(frozen=True, slots=True)
class _Answers:
    """Answers, and whether the kernels that made them give the same bits every time."""

    answers: tuple[Any, ...]
    exact: bool

    @property
    def same(self) -> bool:
        """Whether all are one answer."""
        return all(equal_answers(self.answers[0], other, exact=self.exact) for other in self.answers[1:])

    def like(self, other: "_Answers") -> bool:
        """Whether the answers that both have are the same, in order."""
        exact = self.exact and other.exact
        return all(
            equal_answers(a, b, exact=exact) for a, b in zip(self.answers, other.answers, strict=False)
        )


@dataclass(frozen=True, slots=True)
class _FirstAnswers:
    """What one variant was asked, and what it answered first."""

    variant: Variant
    batch: Batch
    heard: _Answers


class Witness:
    """Asks variants the same few examples again and again.

    `gap` says what differed, `copied` that every variant needs a copy of its own. Mutable: both are found out.
    """

    def __init__(self, passes: Passes, start: Moment) -> None:
        self.gap: Gap | None = None
        self.copied = False
        self._passes, self._start = passes, start
        # A call that sums up what it sees must not see what is asked here.
        self._call: Call = getattr(passes.call, "unmeasured", passes.call)
        self._asked: list[_FirstAnswers] = []
        self._drawn_on: tuple[Batch, bool] | None = None

    def begin(self, batch: Batch) -> None:
        """Ask examples of the first batch. ModelError where copies from the same start differ."""
        for at, variant in enumerate(self._passes.variants[:_MOST_VARIANTS]):
            few = _first_rows(batch, _EXAMPLES_OF_OTHERS if at else _MOST_EXAMPLES)
            try:
                self._ask(variant, few)
            except ModelError as error:
                if error.__cause__ is None or len(few) == len(batch):
                    raise
                # Some networks take no few examples.
                self._ask(variant, batch)
            if self.copied:
                self._asked = self._asked[-1:]
                return

    def ask_whole(self, batch: Batch, before: Moment, results: Mapping[str, Result]) -> None:
        """Ask the first variant the whole first batch again, which led from `before` to `results`."""
        variant = self._passes.variants[0]
        ask = partial(self._through, variant, batch, before)
        if self._passes.device.type == "cpu" and self._call is self._passes.call:
            # What was handed out may lie in a buffer of the network that it writes to next time.
            first = detached(results[variant.name])
            same = self._hear(ask).like(_Answers((first,), True))
        else:
            # The run itself measured what this does not, or had other kernels than those that give the same bits.
            same = self._hear(ask, ask).same
        if not same:
            self.gap = self.gap or _gap(
                f"on batches of {len(batch)}, not of a few, it {KEEPS} or draws numbers"
            )

    def look_again(self, now: Moment, *, everyone: bool, reusing: bool) -> None:
        """Ask the same as at first. ModelError where the answer differs, and what came in between may be wrong.

        What each variant keeps to itself makes no number wrong as long as all is run: then it is a gap.
        """
        for asked in self._asked if everyone else self._asked[:1]:
            variant, batch = asked.variant, asked.batch
            if self.copied:
                if not self._hear(partial(self._on_a_copy(variant).run, batch, self._call)).like(asked.heard):
                    raise _changed_later(asked, reusing=False)
            elif not self._hear(partial(self._through, variant, batch, now)).like(asked.heard):
                from_start = self._hear(partial(self._through, variant, batch, self._start))
                if reusing or not from_start.like(asked.heard):
                    raise _changed_later(asked, reusing=reusing)
                self.gap = self.gap or _gap(f"after a while it {KEEPS}")

    def drew(self, batch: Batch, before: Moment, after: Moment) -> bool:
        """Whether a variant drew random numbers on `batch`, and they made a difference."""
        drawing = [
            variant
            for variant in self._passes.variants
            if not before[variant.name].random.same_as(after[variant.name].random)
        ]
        if not drawing:
            return False
        if self._drawn_on is None or self._drawn_on[0] is not batch:
            self._drawn_on = batch, self._differs_by_draw(drawing[0], batch, before)
            if self._drawn_on[1]:
                self.gap = self.gap or _gap("it draws random numbers on some batches")
        return self._drawn_on[1]

    def _ask(self, variant: Variant, few: Batch) -> None:
        copy, why_none = self._copy_of(variant)
        if copy is not None:
            heard = self._hear(*[partial(copy.run, few, self._call)] * 2)
            through = partial(self._through, variant, few, self._start)
            if heard.same and self._hear(through).like(heard):
                self._asked.append(_FirstAnswers(variant, few, heard))
                return
            self._passes.refuse_written()
            if self._stands_alone(variant, few, heard):
                self._run_copies_or_refuse(variant, few, heard)
                return
            why_none = "it cannot be copied: what was copied asks modules of the original"
        heard = self._hear(*self._twice_on_skeleton(variant, few))
        if not heard.same:
            raise _refusal("the network answers otherwise when it is asked the same twice", why_none)
        self._asked.append(_FirstAnswers(variant, few, heard))

    def _run_copies_or_refuse(self, variant: Variant, few: Batch, heard: _Answers) -> None:
        """Copies from the same start must do what the first did, whatever another copy did in between."""
        self._on_a_copy(self._passes.variants[-1]).run(few, self._call)
        copy = self._on_a_copy(variant)
        again = self._hear(*[partial(copy.run, few, self._call)] * 2)
        with repeatable_kernels(self._passes.device):
            seen = find_difference(self._on_a_copy(variant), few, self._call)
        if not again.like(heard):
            raise _refusal(
                "the network answers otherwise each time that it is asked the same, from a fresh start, too",
                seen,
            )
        self._asked.append(_FirstAnswers(variant, few, heard))
        self.copied = True
        self.gap = _gap(seen) if not heard.same else _EXCHANGE

    def _stands_alone(self, variant: Variant, few: Batch, heard: _Answers) -> bool:
        """Whether a copy answers the same where the original holds no numbers: some lead back to the original."""
        copy = self._on_a_copy(variant)
        with _emptied(self._passes):
            try:
                blind = self._hear(partial(copy.run, few, self._call))
            except ModelError:
                return False
        return blind.like(heard) or not self._hear(
            partial(self._on_a_copy(variant).run, few, self._call)
        ).like(heard)

    def _hear(self, *asks: Callable[[], Result]) -> _Answers:
        with repeatable_kernels(self._passes.device) as kernels:
            answers = tuple(detached(ask()) for ask in asks)
        return _Answers(answers, kernels.exact)

    def _copy_of(self, variant: Variant) -> tuple[Copy | None, str]:
        try:
            return self._on_a_copy(variant), ""
        except AuditError:
            raise
        except Exception as error:  # copying runs code of the network
            return None, f"it cannot be copied: {type(error).__name__}: {error}"

    def _on_a_copy(self, variant: Variant) -> Copy:
        return Copy(self._passes, variant, self._start[variant.name])

    def _through(self, variant: Variant, batch: Batch, moment: Moment) -> Result:
        """As the stream does it, from `moment`."""
        found, _ = self._passes.run(batch, moment, only=variant, call=self._call)
        return found[variant.name]

    def _twice_on_skeleton(self, variant: Variant, batch: Batch) -> Iterator[Callable[[], Result]]:
        """From the start, and from where that led."""
        moment = self._start

        def ask() -> Result:
            nonlocal moment
            found, moment = self._passes.run(batch, moment, only=variant, call=self._call)
            return found[variant.name]

        yield from (ask, ask)

    def _differs_by_draw(self, variant: Variant, batch: Batch, before: Moment) -> bool:
        was = before[variant.name]
        other = CarriedState(was.held, was.values, RandomState.other(_OTHER_SEED))
        return not self._hear(
            *[partial(self._through, variant, batch, {variant.name: carried}) for carried in (was, other)]
        ).same


@contextmanager
def _emptied(passes: Passes) -> Iterator[None]:
    """The skeleton with tensors without numbers, that take no memory."""
    places = slots(passes.skeleton)
    before = {name: slot.tensor for name, slot in places.items()}
    try:
        for name, slot in places.items():
            nothing = torch.full(
                (), torch.nan if before[name].is_floating_point() else 0, device=passes.device
            )
            slot.hang(nothing.to(before[name].dtype).expand(before[name].shape))
        yield
    finally:
        for name, slot in places.items():
            slot.hang(before[name])


def _first_rows(batch: Batch, most: int) -> Batch:
    while len(batch) > most:
        batch = batch.halves()[0]
    return batch


def _gap(seen: str) -> Gap:
    return Gap(
        ident="not-repeatable",
        what=f"asked the same twice, the network answers otherwise: {seen}",
        advice=_ADVICE,
        holds="behaviour",
    )


def _refusal(fact: str, seen: str) -> ModelError:
    hidden = "a global, a class, a file, a clock, or a generator of random numbers"
    return ModelError(
        fact, details=[seen, f"what changes is no part of the module, as {hidden}"], hint=_ADVICE
    )


def _changed_later(asked: _FirstAnswers, *, reusing: bool) -> ModelError:
    ids = asked.batch.ids
    return ModelError(
        "the network answers otherwise after some batches than before them",
        details=[
            f"{asked.variant.name}, on examples {ids[0]} to {ids[-1]}",
            "it keeps something out of sight",
        ],
        hint="run with --no-reuse" if reusing else _ADVICE,
    )
