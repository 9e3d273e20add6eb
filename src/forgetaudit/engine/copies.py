"""Independent copies of a network, one for each variant: nothing that one does reaches another.

For networks that swapping weights on one skeleton cannot serve, because they keep something where it is not seen.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from forgetaudit.data.batches import Batch
from forgetaudit.engine.module_state import RandomState
from forgetaudit.engine.passes import (
    Call,
    CarriedState,
    Moment,
    Passes,
    Result,
    Watch,
    is_out_of_memory,
    one_pass,
)
from forgetaudit.engine.variants import Variant, slots
from forgetaudit.errors import ModelError

__all__ = ["Copies", "Copy", "fresh"]


def fresh(skeleton: nn.Module, variant: Variant) -> nn.Module:
    """A deep copy of `skeleton` in evaluation mode that holds `variant`: its parameters themselves, the rest copied.

    References to weights in objects of any kind lead to those of the variant. Raises whatever copying raises.
    """
    places = slots(skeleton)
    weights = {id(variant.tensors[name]) for name, slot in places.items() if slot.is_parameter}
    own: dict[int, Tensor] = {}
    for name in places:
        tensor = variant.tensors[name]
        own.setdefault(id(tensor), tensor if id(tensor) in weights else tensor.detach().clone())
    memo: dict[int, Any] = {}
    for name, slot in places.items():
        memo.setdefault(id(slot.tensor), own[id(variant.tensors[name])])
    made = deepcopy(skeleton, memo)
    # What is tied on the skeleton may be two tensors in the variant.
    for name, slot in slots(made).items():
        slot.hang(own[id(variant.tensors[name])])
    return made.eval()


class Copy:
    """A copy of the skeleton in its first state, with one variant, that goes on from batch to batch.

    What its modules do not hold, the random numbers and the globals of the user's own files, is set to the copy's own
    while it runs.
    """

    def __init__(self, passes: Passes, variant: Variant, start: CarriedState) -> None:
        self.model = fresh(passes.skeleton, variant)
        self.variant, self.random = variant, start.random
        self._belongings = passes.belongings
        self._globals = passes.belongings.globals_in(start.held)
        self._modules = dict(self.model.named_modules())
        self._taps = passes.taps

    def run(self, batch: Batch, call: Call, watch: Watch | None = None) -> Result:
        """What the variant makes of `batch` after all that it was given before. Raises ModelError."""
        outside, globals_outside = RandomState.take(), self._belongings.take_globals()
        try:
            self.random.put()
            self._belongings.put_globals(self._globals)
            with torch.inference_mode(False), torch.no_grad():
                result = one_pass(self.model, self._modules, self.variant, batch, call, self._taps, watch)
            self.random = RandomState.take()
            self._globals = self._belongings.take_globals()
        finally:
            outside.put()
            self._belongings.put_globals(globals_outside)
        return result


class Copies:
    """A copy for every variant, all with the same beginning. Memory: all but the parameters once a variant."""

    def __init__(self, passes: Passes, start: Moment) -> None:
        self._call = passes.call
        self._copies = {
            variant.name: Copy(passes, variant, start[variant.name]) for variant in passes.variants
        }

    def run(self, batch: Batch) -> Mapping[str, Result]:
        """All variants on `batch`. Raises ModelError; a batch that does not fit in memory cannot be tried again."""
        try:
            return {name: copy.run(batch, self._call) for name, copy in self._copies.items()}
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise ModelError(
                f"{len(batch)} examples at once do not fit in memory",
                details=[
                    "the network keeps something from call to call, so that the batch cannot be begun again",
                    str(error),
                ],
                hint="pass a smaller --batch-size",
            ) from None
