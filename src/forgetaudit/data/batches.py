"""Batches: what one step of the stream feeds to every variant."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from forgetaudit.data.examples import Example

__all__ = ["Batch", "in_batches", "placed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """n examples, collated once and fed to every variant.

    `args` and `kwargs` are the model's arguments, nested as it takes them; every tensor in them has the n
    examples along its first dimension. `labels` is (n,), (n, t) where places in a row are asked, or None; `mask` is
    (n, t) with 1 for real tokens, or None. `groups` says which rows are not independent of each other, as windows of
    one document are not; None: all are. `clusters` says it more coarsely, where examples themselves are not.
    `rows` are the places of the examples in the data.
    `own` are the same rows as variants of these names take them, where that is otherwise than here.
    """

    ids: tuple[str, ...]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    labels: Tensor | None = None
    mask: Tensor | None = None
    groups: tuple[str, ...] | None = None
    clusters: tuple[str, ...] | None = None
    rows: tuple[int, ...] | None = None
    own: Mapping[str, "Batch"] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def wanted(self) -> Tensor:
        """The `labels` of a batch that has them. ValueError where it has none."""
        if self.labels is None:
            raise ValueError("nothing says what is right in a batch without labels")
        return self.labels

    def of(self, variant: str) -> "Batch":
        """The rows as `variant` takes them."""
        return self.own.get(variant, self)

    def to(self, device: torch.device) -> "Batch":
        """The same batch with its tensors on `device`."""
        return self.cut(slice(None), lambda tensor: tensor.to(device))

    def with_floats(self, dtype: torch.dtype) -> "Batch":
        """The same batch with the model's floating arguments in `dtype`; ids and masks of integers stay as they are."""
        args, kwargs = pytree.tree_map_only(
            Tensor,
            lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor,
            (self.args, dict(self.kwargs)),
        )
        own = {name: batch.with_floats(dtype) for name, batch in self.own.items()}
        return replace(self, args=args, kwargs=kwargs, own=own)

    def halves(self) -> tuple["Batch", "Batch"]:
        """The first and the second half, in fresh tensors: a view's alignment changes the last bits of a matmul."""
        middle = (len(self) + 1) // 2
        return (
            self.cut(slice(middle), lambda tensor: tensor[:middle].clone()),
            self.cut(slice(middle, None), lambda tensor: tensor[middle:].clone()),
        )

    def cut(self, rows: slice, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The `rows` of the batch, where `change` makes what is left of each tensor."""
        args, kwargs, labels, mask = pytree.tree_map_only(
            Tensor, change, (self.args, dict(self.kwargs), self.labels, self.mask)
        )
        return replace(
            self,
            ids=self.ids[rows],
            args=args,
            kwargs=kwargs,
            labels=labels,
            mask=mask,
            groups=None if self.groups is None else self.groups[rows],
            clusters=None if self.clusters is None else self.clusters[rows],
            rows=None if self.rows is None else self.rows[rows],
            own={name: batch.cut(rows, change) for name, batch in self.own.items()},
        )


def in_batches(
    examples: Iterable[Example], batch_size: int, collate: Callable[[list[Example]], Batch]
) -> Iterator[Batch]:
    """The examples in their order, `batch_size` at a time, the last batch perhaps smaller.

    Each example is read once, when its batch is asked for; one batch is held at a time. One without rows, where all
    was seen before, is passed over.
    """
    remaining = iter(examples)
    while group := list(islice(remaining, batch_size)):
        if len(batch := collate(group)):
            yield placed(batch, group)


def placed(batch: Batch, examples: Sequence[Example]) -> Batch:
    """The batch with the places of its examples, and the groups that they say they are of, if they say so."""
    known = {example.id: example for example in examples}
    names = batch.groups or batch.ids
    if any(name not in known for name in names):
        return batch
    with_rows = replace(batch, rows=tuple(known[name].row for name in names))
    if all(example.group is None for example in examples):
        return with_rows
    return replace(with_rows, clusters=tuple(str(known[name].group) for name in names))
