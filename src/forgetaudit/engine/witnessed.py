"""Passes whose network was asked whether it answers alike, and that go on as the answer demands."""

from collections.abc import Mapping

from forgetaudit.data.batches import Batch
from forgetaudit.engine.copies import Copies
from forgetaudit.engine.module_state import RandomState
from forgetaudit.engine.passes import Moment, Passes, Result
from forgetaudit.engine.reusing_passes import ReusingPasses
from forgetaudit.engine.witness import Witness
from forgetaudit.gaps import Gap
from forgetaudit.progress import Progress

__all__ = ["WitnessedPasses"]


class WitnessedPasses:
    """Runs all variants on a batch: with reuse, or as independent copies where the network keeps or draws something.

    `run_calls` and `reused_calls` count by path the calls of the modules that may be answered from the book.
    """

    def __init__(
        self, passes: Passes, progress: Progress, *, reuse: bool, seed: int | None = None, asks: bool = True
    ) -> None:
        self._passes, self._progress, self._seed, self._asks = passes, progress, seed, asks
        self._frugal = ReusingPasses(passes, progress, reuse=reuse, draws_matter=self._draws_matter)
        self._start: Moment = {}
        self._witness: Witness | None = None
        self._copies: Copies | None = None
        self._n_batches = 0

    @property
    def run_calls(self) -> Mapping[str, int]:
        """By path, the calls that were run."""
        return self._frugal.run_calls

    @property
    def reused_calls(self) -> Mapping[str, int]:
        """By path, the calls that were answered with an earlier result."""
        return self._frugal.reused_calls

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What the network was seen to do otherwise the second time."""
        gap = None if self._witness is None else self._witness.gap
        return () if gap is None else (gap,)

    def start(self) -> Moment:
        """The moment before the first batch; what was found out before is asked anew."""
        self._start = self._passes.start(None if self._seed is None else RandomState.other(self._seed))
        self._witness = self._copies = None
        self._n_batches = 0
        return self._start

    def run(self, batch: Batch, moment: Moment) -> tuple[Mapping[str, Result], Moment]:
        """All variants on `batch`, from `moment` to the next. Raises ModelError where the model does."""
        if not self._asks:
            return self._frugal.run(batch, moment)
        witness = self._witness or self._begin(batch)
        if self._copies is not None:
            return self._copies.run(batch), moment
        results, after = self._frugal.run(batch, moment)
        if not self._n_batches:
            witness.ask_whole(batch, moment, results)
        witness.drew(batch, moment, after)
        self._n_batches += 1
        if self._n_batches & (self._n_batches - 1) == 0 and self._n_batches > 1:
            witness.look_again(after, everyone=False, reusing=bool(self.reused_calls))
        return results, after

    def look_again(self, now: Moment) -> None:
        """Ask again what was asked at first, and look whether weights were written to. ModelError."""
        if self._witness is not None:
            self._passes.refuse_written()
            self._witness.look_again(now, everyone=True, reusing=bool(self.reused_calls))

    def _begin(self, batch: Batch) -> Witness:
        witness = Witness(self._passes, self._start)
        witness.begin(batch)
        if witness.copied:
            self._copies = Copies(self._passes, self._start)
            why = f": {witness.gap}" if witness.gap else ""
            self._progress.note(f"every variant runs in full, on a copy of its own, nothing is reused{why}")
        # Only now: where memory ran out, all is begun anew with fewer examples.
        self._witness = witness
        return witness

    def _draws_matter(self, batch: Batch, before: Moment, after: Moment) -> bool:
        return self._witness is None or self._witness.drew(batch, before, after)
