"""Which blocks carry the loss, in the report's form. Fractions; a gain is what a mixture wins back of tuned's loss."""

from typing import Literal

from forgetaudit.report.parts import Absent, Measured, Part

__all__ = [
    "Effect",
    "End",
    "LocateSection",
    "PartRow",
    "PlayerKind",
    "PreviewRow",
    "PreviewSection",
    "ResetRow",
    "Sums",
]

PlayerKind = Literal["stem", "block", "head", "buffers", "rest"]
End = Literal["bottom", "top"]


class Effect(Part):
    """One mixture of base and tuned, on the same examples as both.

    `change` is in accuracy, two-sided and paired: of a rollback the gain over tuned, of a part kept alone the drop
    from base. `nll` is the same in nats. `sure` where `change` is not 0, allowing for as many looks as there are parts.
    """

    accuracy: float
    change: Measured
    nll: Measured
    sure: bool


class PartRow(Part):
    """One part of the network that moved: a block, the head, the running statistics of all layers, or the rest.

    `rolled_back` is tuned with base's tensors here, `kept_alone` base with tuned's. `shapley` is its share of the
    drop, `shapley_nll` of the rise in log loss; `blamed` where the first is sure to be over 0.
    """

    name: str
    kind: PlayerKind
    n_tensors: int
    relative: float | Absent
    rolled_back: Effect
    kept_alone: Effect
    shapley: Measured
    shapley_nll: Measured
    blamed: bool


class ResetRow(Part):
    """The first ("bottom") or last ("top") layers reset to base, running statistics included. `gain` over tuned."""

    end: End
    layers: tuple[str, ...]
    accuracy: float
    gain: Measured


class Sums(Part):
    """What the parts add up to, beside the `drop` that they should: blame is not additive. Fractions."""

    drop: float
    rolled_back: float
    kept_alone: float
    shapley: float | Absent


class PreviewRow(Part):
    """One part's `share` of the rise in log loss, in nats a question: a diagnostic, and no blame.

    `interval` is what batches of other examples could have given. `fraction` is the share over the rise.
    """

    name: str
    kind: PlayerKind
    n_tensors: int
    relative: float | Absent
    share: float | Absent
    interval: Measured
    fraction: float | Absent


class PreviewSection(Part):
    """The rise in log loss shared out by gradients along the straight line from base to tuned (Aumann–Shapley).

    Gradients were taken at `nodes` points of the line. The shares should add up to `rise`, which was measured for base
    and tuned: `gap` is rise − `total`, the error of the preview in nats; `trusted` where it is at most a tenth of the
    rise. Intervals are from `n_blocks` batches that share no group. `left_out` are tensors by which there is no
    gradient, so that what they did is in the gap.
    """

    nodes: int
    rise: Measured
    total: float | Absent
    gap: float | Absent
    trusted: bool
    n_blocks: int
    left_out: tuple[str, ...]
    rows: tuple[PreviewRow, ...]


class LocateSection(Part):
    """Where the loss on one data set sits. `n_variants` were run; `orders` tells how Shapley values were found.

    With a `preview` nothing was rolled back: there are no `players` and no `resets`, and `sums` are absent.
    """

    data: str
    n: int
    unit: str
    n_groups: int | None
    base: float
    tuned: float
    drop: Measured
    players: tuple[PartRow, ...]
    unmoved: tuple[str, ...]
    resets: tuple[ResetRow, ...]
    sums: Sums | Absent
    orders: str
    n_variants: int
    preview: PreviewSection | None = None
