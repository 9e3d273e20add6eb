"""What a repair tried, chose and confirmed, in the report's form. Fractions; a loss is tuned − repaired."""

from typing import Literal

from forgetaudit.report.inputs import Digest
from forgetaudit.report.parts import Absent, Measured, Part

__all__ = ["RepairCandidate", "RepairConfirmation", "RepairDemand", "RepairEnd", "RepairSection"]


class RepairCandidate(Part):
    """One remedy on the half of the examples that is searched. Chosen by these numbers, so they flatter it.

    `change` is the share of fine-tuning's way that is taken back, ‖θ − θ1‖/‖θ1 − θ0‖: 0 for tuned, 1 for base.
    `won_back` is the share of the lost points, `target_loss` against tuned with two-sided limits. `on_front` where
    no other is better on source and target at once (change, where there is no target); `allowed` where nothing asked
    for rules it out.
    """

    name: str
    family: str
    change: float
    accuracy: float
    won_back: float | Absent
    target: float | Absent
    target_loss: Measured
    on_front: bool
    allowed: bool


class RepairEnd(Part):
    """Base or tuned on the half that is searched, which every remedy lies between or beyond."""

    name: Literal["base", "tuned"]
    accuracy: float
    target: float | Absent


class RepairConfirmation(Part):
    """The chosen remedy on the other half. `gain` = repaired − tuned on the source data, two-sided, paired.

    `won_back` is its share of what tuned lost there. `written` where the weights were read back from the files.
    """

    data: str
    n: int
    unit: str
    base: float
    tuned: float
    repaired: float
    gain: Measured
    won_back: float | Absent
    target: str | Absent
    n_target: int
    target_tuned: float | Absent
    target_repaired: float | Absent
    target_loss: Measured
    from_files: bool


class RepairDemand(Part):
    """Something that was asked of the remedy, and whether the confirming half bears it out."""

    demand: str
    met: bool
    reason: str


class RepairSection(Part):
    """From tuned to a checkpoint that forgot less, or the reasons why there is none. `written` is where it is.

    `strengths` says for each part of the network how much of what fine-tuning did is kept, 0 to 1, lowest and highest;
    `edited` are the tensors that lie on no such line, and were computed anew as the first of `notes` says.
    """

    families: tuple[str, ...]
    tuned_name: str
    n_search: int
    n_confirm: int
    lost: Measured
    target: str | Absent
    keep_target: float | None
    win_back: float | None
    ends: tuple[RepairEnd, ...] = ()
    candidates: tuple[RepairCandidate, ...]
    chosen: str | None
    strengths: dict[str, tuple[float, float]]
    edited: tuple[str, ...] = ()
    confirmed: RepairConfirmation | Absent
    demands: tuple[RepairDemand, ...]
    met: bool
    written: str | None
    form: str | None
    digest: Digest | Absent = Absent(not_measured="nothing was written")
    notes: tuple[str, ...] = ()
