"""What variants have in common by module, and what was learned about the modules."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from forgetaudit.engine.variants import Variant

__all__ = ["Plan", "Sharing"]


class Sharing:
    """Which variants, in the order in which they run, have the same tensors in a module."""

    def __init__(self, variants: Sequence[Variant], paths: Iterable[str]) -> None:
        self._weights: dict[str, dict[str, int]] = {}
        self._n_later: dict[str, dict[str, int]] = {}
        self._bare: set[str] = set()
        self._light: set[str] = set()
        for path in paths:
            prefix = f"{path}." if path else ""
            names = [name for name in variants[0].tensors if name.startswith(prefix)]
            if not names:
                self._bare.add(path)
            if all(variants[0].tensors[name].dim() <= 1 for name in names):
                self._light.add(path)
            numbers: dict[tuple[int, ...], int] = {}
            weights = {
                variant.name: numbers.setdefault(
                    tuple(id(variant.tensors[name]) for name in names), len(numbers)
                )
                for variant in variants
            }
            self._weights[path] = weights
            order = list(weights.values())
            self._n_later[path] = {
                name: order[place + 1 :].count(number) for place, (name, number) in enumerate(weights.items())
            }

    def weights(self, path: str, variant: str) -> int:
        """A number for the tensors under `path`: equal numbers, the same tensors."""
        return self._weights[path][variant]

    def n_later(self, path: str, variant: str) -> int:
        """How many of the variants that run after `variant` have the same tensors under `path`."""
        return self._n_later[path][variant]

    def has_tensors(self, path: str) -> bool:
        """Whether any tensor hangs under `path`."""
        return path not in self._bare

    def is_light(self, path: str) -> bool:
        """Whether only vectors and numbers hang under `path`, as in a normalisation: it costs no more than a copy."""
        return path in self._light

    def shares(self, path: str) -> bool:
        """Whether some two variants have the same tensors under `path`, or none there."""
        return any(self._n_later[path].values())

    def pays(self) -> bool:
        """Whether anything with tensors is shared at all."""
        return any(self.has_tensors(path) and self.shares(path) for path in self._weights)


@dataclass(slots=True)
class Plan:
    """What was learned of the modules, by path.

    `paths` are answered from the book where possible. `copied` are those whose output is written to afterwards, so
    that a copy is kept; `written` those that write to their arguments or return them, and so must run; `never`
    those that must run for other reasons. `draws`: random numbers are drawn somewhere.
    """

    paths: set[str]
    copied: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    never: set[str] = field(default_factory=set)
    draws: bool = False

    def copy(self) -> "Plan":
        """As it is now."""
        return Plan(set(self.paths), set(self.copied), set(self.written), set(self.never), self.draws)
