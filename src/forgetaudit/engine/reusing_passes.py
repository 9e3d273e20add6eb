"""Passes that answer calls from the book, as long as that is shown to be exact; plain passes otherwise."""

from collections import Counter
from collections.abc import Callable

from forgetaudit.data.batches import Batch
from forgetaudit.engine.passes import CarriedState, Moment, Passes, Result, is_out_of_memory
from forgetaudit.engine.reuse_plan import Reusing, drew_random_numbers, make_reuse_plan
from forgetaudit.engine.sharing import Plan, Sharing
from forgetaudit.progress import Progress

__all__ = ["ReusingPasses"]

_MOST_ATTEMPTS = 4


class ReusingPasses:
    """Runs all variants on a batch as Passes does, with the same results. Learns how on the first batch.

    `draws_matter(batch, before, after)` says whether random numbers that were drawn made a difference.
    `run_calls` and `reused_calls` count by path the calls of the modules that may be answered from the book.
    """

    def __init__(
        self,
        passes: Passes,
        progress: Progress,
        *,
        reuse: bool = True,
        draws_matter: Callable[[Batch, Moment, Moment], bool] = lambda *_: True,
    ) -> None:
        self.run_calls: Counter[str] = Counter()
        self.reused_calls: Counter[str] = Counter()
        self._passes, self._progress, self._draws_matter = passes, progress, draws_matter
        self._sharing = Sharing(passes.variants, passes.modules)
        self._is_on = reuse and self._sharing.pays()
        self._plan: Plan | None = None

    def run(self, batch: Batch, moment: Moment) -> tuple[dict[str, Result], dict[str, CarriedState]]:
        """All variants on `batch`, from `moment` to the next. Raises ModelError where the model does."""
        if self._is_on and self._plan is None:
            self._learn(batch, moment)
        if self._is_on and self._plan is not None and self._plan.paths:
            answer = self._try(batch, moment, self._plan)
            if answer is not None:
                return answer
        return self._passes.run(batch, moment)

    def _learn(self, batch: Batch, moment: Moment) -> None:
        try:
            self._plan = make_reuse_plan(self._passes, self._sharing, batch, moment)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            # A model that fails here and not in earnest is one that a plain pass may still get right.
            self._refuse(f"trying it on a few examples failed: {type(error).__name__}")
        else:
            if self._plan is None:
                self._refuse("on the first examples it did not give the bits of plain passes")

    def _try(
        self, batch: Batch, moment: Moment, plan: Plan
    ) -> tuple[dict[str, Result], dict[str, CarriedState]] | None:
        for _ in range(_MOST_ATTEMPTS):
            watch = Reusing(plan, self._sharing)
            results, after = self._passes.run(batch, moment, watch)
            if not watch.book.disturbed():
                break
        else:
            self._refuse("results that were handed out keep being written to")
            return None
        if not plan.draws and drew_random_numbers(moment, after) and self._draws_matter(batch, moment, after):
            self._refuse("the model draws random numbers on some batches")
            return None
        self.run_calls.update(watch.book.run)
        self.reused_calls.update(watch.book.reused)
        return results, after

    def _refuse(self, reason: str) -> None:
        self._is_on = False
        self._progress.note(f"every variant runs in full, nothing is reused: {reason}")
