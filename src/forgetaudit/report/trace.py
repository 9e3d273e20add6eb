"""The forgetting curve over the checkpoints of a run, in the report's form. Fractions; drop = base − checkpoint."""

from typing import Literal

from forgetaudit.report.behaviour import FlipTable
from forgetaudit.report.inputs import FileInput
from forgetaudit.report.parts import Absent, Measured, Part
from forgetaudit.report.verdict import Outcome

__all__ = [
    "ContinualMeasures",
    "Forecast",
    "TraceAnswers",
    "TraceLayer",
    "TracePoint",
    "TraceSection",
    "TraceSummary",
]


class TraceAnswers(Part):
    """What one checkpoint answered on one data set.

    `drop` is against base, `below_best` against the best of base and all earlier checkpoints, which is `best`; both
    paired, two-sided. `sure` where the drop is, allowing for one look at each checkpoint (Bonferroni).
    """

    data: str
    n: int
    base: float
    accuracy: float
    drop: Measured
    sure: bool
    flips: FlipTable
    best: str
    below_best: Measured
    nll: float | Absent
    target: bool = False


class TraceLayer(Part):
    """One layer at one checkpoint, against base: `cka` on the source data where it is lowest, `relative` ‖Δ‖/‖θ₀‖."""

    layer: str
    stage: str
    cka: Measured
    relative: float | Absent


class TracePoint(Part):
    """One checkpoint: its answers, its features, and its way through weight space.

    `distance` is ‖θ − θ₀‖ over the parameters, `relative` that over ‖θ₀‖, `moved` the distance from the checkpoint
    before, `net_over_path` the distance over the sum of all moves so far: 1 for a straight way, less for detours.
    `budget_used` is how much of what the optimizer can have moved any weight was moved, by the run's own log and by
    what had to be assumed beside it.
    `lowest_cka` is that of the layer `lowest_layer`; `layers` has all of them, in the network's order.
    `outcome` is what the rules come to on this checkpoint alone, and `within` whether it keeps every rule also where
    limits allow for one look at each checkpoint (Bonferroni).
    """

    variant: str
    step: int | None
    file: FileInput
    answers: tuple[TraceAnswers, ...]
    lowest_cka: Measured
    lowest_layer: str | None
    distance: float | Absent
    relative: float | Absent
    moved: float | Absent
    net_over_path: float | Absent
    budget_used: float | Absent = Absent(not_measured="no log of the run was found")
    outcome: Outcome
    within: bool = False
    on_front: bool | None = None
    layers: tuple[TraceLayer, ...] = ()


class TraceSummary(Part):
    """What the curve on one source data set comes to. Names are those of checkpoints; None where there is none.

    `best` can be base itself.
    """

    data: str
    first_sure: str | None
    largest_drop: str
    best: str


class Forecast(Part):
    """A power law through the drops on one data set, and the drop that it expects at the step `at`: a diagnostic."""

    data: str
    kind: Literal["diagnostic"] = "diagnostic"
    scale: float
    exponent: Measured
    at: int
    drop: Measured
    misfit: float


class ContinualMeasures(Part):
    """Of several tasks, by the names and formulas of their authors: R[t, i] is the accuracy on i after stage t.

    `learned` names the stage that learned each task, base or a checkpoint.
    """

    n_tasks: int
    learned: dict[str, str]
    backward_transfer: float
    average_forgetting: float
    avalanche: float
    mammoth: float


class TraceSection(Part):
    """A run from base to its last checkpoint, which is the one that the report's verdict is about.

    `ordered` says how the order is known. `last_within` is the last checkpoint that keeps every rule, one look
    at each checkpoint allowed for; None where none does or where there are no rules.
    """

    ordered: str
    points: tuple[TracePoint, ...]
    summaries: tuple[TraceSummary, ...]
    last_within: str | None
    target: str | Absent
    forecasts: tuple[Forecast | Absent, ...]
    continual: ContinualMeasures | Absent
    notes: tuple[str, ...] = ()
