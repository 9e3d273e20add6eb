"""Weight distance by layer, by stage and in total."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from forgetaudit.values import NotMeasured
from forgetaudit.weights.changes import Change, Role, TensorChange, WeightChanges
from forgetaudit.weights.sums import Sums, add_up

__all__ = ["Group", "by_layer", "by_stage", "layer_of", "total"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Tensors that belong together. Running statistics and integer buffers never count as distance.

    `parameters` are the sums over floating tensors that both sides have in one shape; `statistics` those over
    running_mean and running_var.
    """

    name: str
    tensors: tuple[TensorChange, ...]
    parameters: Sums
    statistics: Sums

    @property
    def distance(self) -> float | NotMeasured:
        """‖tuned − base‖ over the parameters: the root of the sum of squares."""
        return self._nothing_measured() or self.parameters.distance

    @property
    def relative(self) -> float | NotMeasured:
        """‖tuned − base‖ / ‖base‖ over the parameters."""
        return self._nothing_measured() or self.parameters.relative

    @property
    def one_minus_cosine(self) -> float | NotMeasured:
        """1 − cosine over the parameters, taken as one vector."""
        return self._nothing_measured() or self.parameters.one_minus_cosine

    @property
    def is_frozen(self) -> bool:
        """True where the bytes prove that nothing moved in any tensor, buffers included, up to a cast."""
        return bool(self.tensors) and all(row.is_unchanged for row in self.tensors)

    @property
    def not_measured(self) -> tuple[TensorChange, ...]:
        """The tensors that no distance speaks of: on one side only, of another shape, or not comparable."""
        return tuple(row for row in self.tensors if row.sums is None and not row.is_unchanged)

    @property
    def training_batches(self) -> int | None:
        """How many batches ran in training mode: the largest Δ of num_batches_tracked; None where nothing tracks it."""
        counts = [round(_scalar_delta(row.sums)) for row in self.tensors if row.sums and _tracks_batches(row)]
        return max(counts, key=abs, default=None)

    def _nothing_measured(self) -> NotMeasured | None:
        if any(row.role is Role.PARAMETER and row.sums is not None for row in self.tensors):
            return None
        return NotMeasured("no floating parameter is in both files in one shape")


def total(changes: WeightChanges) -> Group:
    """Everything as one group."""
    return _group("total", changes.tensors)


def by_layer(
    changes: WeightChanges, layers: Collection[str], *, names: Mapping[str, str] | None = None
) -> tuple[Group, ...]:
    """One group for each layer, in the order given, then one for each module that lies in none of them.

    A tensor belongs to the longest layer name that is a dotted prefix of its own. `names` translates names of tensors
    into those of the model, where the layers come from. Layers without tensors (pooling, activations) get no group.
    """
    translate = names or {}
    places = _collect(changes.tensors, lambda row: layer_of(translate.get(row.name, row.name), layers))
    in_order = [layer for layer in layers if layer in places]
    rest = [place for place in places if place not in set(layers)]
    return tuple(_group(place, places[place]) for place in [*in_order, *rest])


def by_stage(
    changes: WeightChanges, stages: Mapping[str, str], *, names: Mapping[str, str] | None = None
) -> tuple[Group, ...]:
    """One group for each stage; `stages` gives the stage of each layer name. What lies in no layer is "rest"."""
    translate = names or {}
    places = _collect(
        changes.tensors, lambda row: stages.get(layer_of(translate.get(row.name, row.name), stages), "rest")
    )
    in_order = [stage for stage in dict.fromkeys([*stages.values(), "rest"]) if stage in places]
    return tuple(_group(stage, places[stage]) for stage in in_order)


def layer_of(name: str, layers: Collection[str]) -> str:
    """The longest of `layers` that is a dotted prefix of the tensor's name, else the name of its own module."""
    segments = name.split(".")
    for end in range(len(segments), 0, -1):
        prefix = ".".join(segments[:end])
        if prefix in layers:
            return prefix
    return ".".join(segments[:-1])


def _collect(
    rows: Iterable[TensorChange], place_of: Callable[[TensorChange], str]
) -> dict[str, list[TensorChange]]:
    places: dict[str, list[TensorChange]] = {}
    for row in rows:
        places.setdefault(place_of(row), []).append(row)
    return places


def _group(name: str, rows: Iterable[TensorChange]) -> Group:
    rows = tuple(rows)
    return Group(
        name=name,
        tensors=rows,
        parameters=add_up(row.sums for row in rows if row.role is Role.PARAMETER and row.sums),
        statistics=add_up(row.sums for row in rows if row.role is Role.STATISTIC and row.sums),
    )


def _tracks_batches(row: TensorChange) -> bool:
    return row.name.rpartition(".")[2] == "num_batches_tracked" and row.change is not Change.RESHAPED


def _scalar_delta(sums: Sums) -> float:
    """Δ with its sign, of a tensor with one non-negative element: P = a·d has the sign of d."""
    return -sums.max_abs_delta if sums.cross < 0 else sums.max_abs_delta
