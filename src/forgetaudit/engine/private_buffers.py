"""Buffers and plain tensors that each variant has to itself, because some modules write to theirs while they run.

What was written to is found by content: version counters do not see writes through `.data` or NumPy, nor those of
kernels that keep running statistics.
"""

from collections.abc import Mapping

from torch import Tensor

from forgetaudit.engine.bit_equality import same_bits, same_layout, version
from forgetaudit.engine.module_state import ModuleState
from forgetaudit.engine.variants import Slot

__all__ = ["MOST_COPIED_BYTES", "PrivateBuffers"]

MOST_COPIED_BYTES = 16 * 2**20


class PrivateBuffers:
    """Copies of tensors to hang on the skeleton in their stead. The originals must not be written to."""

    def __init__(self) -> None:
        self._copies: dict[int, tuple[Tensor, Tensor, int]] = {}
        self._paths: dict[int, set[str]] = {}
        self._written: set[int] = set()
        # Between `put` and `take` anything may be written.
        self._under_way = False

    def of(self, tensor: Tensor, path: str) -> Tensor:
        """The copy of `tensor`, which hangs on the module at `path`; always the same one.

        It is `tensor` itself above 16 MB or where it is not strided.
        """
        if tensor.is_sparse or tensor.nbytes > MOST_COPIED_BYTES:
            return tensor
        if id(tensor) not in self._copies:
            self._paths[id(tensor)] = set()
            copy = tensor.detach().clone()
            self._copies[id(tensor)] = tensor, copy, version(copy)
        self._paths[id(tensor)].add(path)
        return self._copies[id(tensor)][1]

    def hang_plain(self, belongings: ModuleState, slots: Mapping[str, Slot]) -> None:
        """Put copies in the place of tensors that are plain attributes of modules, and of none of the `slots`."""
        taken = {(id(place[0]), place[1]) for slot in slots.values() for place in slot.places}
        for path, attributes, key in list(belongings.plain_tensors()):
            if (id(attributes), key) not in taken:
                attributes[key] = self.of(attributes[key], path)

    def written_paths(self) -> set[str]:
        """The modules on which a copy hangs that was written to when `take` or `put` last looked."""
        return {path for key in self._written for path in self._paths[key]}

    def take(self) -> Mapping[int, Tensor]:
        """The values of those that were ever written to."""
        self._look()
        return {key: self._copies[key][1].clone() for key in self._written}

    def put(self, values: Mapping[int, Tensor]) -> None:
        """Give them the values they had when `values` were taken: the originals' where they had not been written to."""
        if self._under_way:
            self._look()
        for key in self._written:
            original, copy, _ = self._copies[key]
            copy.copy_(values.get(key, original))
        self._under_way = True

    def _look(self) -> None:
        self._under_way = False
        self._written.update(
            key
            for key, (original, copy, birth) in self._copies.items()
            if key not in self._written and _changed(original, copy, birth)
        )


def _changed(original: Tensor, copy: Tensor, birth: int) -> bool:
    """By content; by version where bytes cannot be compared, as those of quantised tensors."""
    if same_layout(original, copy):
        return not same_bits(original, copy)
    return version(copy) != birth
