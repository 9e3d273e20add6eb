"""What the examples said: accuracy, flips, log loss, classes, and how far the features drifted."""

from typing import Literal

from forgetaudit.report.parts import Absent, Measured, Part

__all__ = [
    "Accuracy",
    "ClassResult",
    "FeatureSection",
    "FlipTable",
    "LayerDrift",
    "LogLoss",
    "McNemarTest",
    "RivalSection",
    "ScoreSection",
    "SourceSection",
    "Unusable",
]


class Accuracy(Part):
    """Accuracy of both on the same examples. `drop` = base − tuned, two-sided, for reading."""

    base: float
    tuned: float
    drop: Measured


class FlipTable(Part):
    """Forgotten: right in base, wrong in tuned. Gained: the reverse."""

    forgotten: int
    gained: int
    kept: int
    missed: int


class McNemarTest(Part):
    """P-values of "nothing changed", two-sided (Fagerland 2013)."""

    exact: float
    mid_p: float


class LogLoss(Part):
    """Mean log loss in nats per example. `increase` = tuned − base, paired."""

    base: float | Absent
    tuned: float | Absent
    increase: Measured


class ClassResult(Part):
    """One class. `adjusted_p` is two-sided mid-P after Benjamini–Hochberg over all classes."""

    label: int
    name: str
    n: int
    base: float
    tuned: float
    drop: Measured
    adjusted_p: float


class Unusable(Part):
    """Why behaviour on these data judges nothing. `id` is also the finding's."""

    id: Literal["base-at-chance", "labels-do-not-fit"]
    reason: str


class SourceSection(Part):
    """What one variant lost of one source data set.

    `known` where bytes prove that nothing can have changed. `unusable` says why behaviour on these data judges
    nothing: base at chance, or labels that do not fit. `nonfinite` counts outputs with NaN or infinity. `metric` is
    what decides right or wrong, under the name that whoever measured it gave it.
    """

    data: str
    variant: str
    n: int
    task: str
    metric: str = "accuracy"
    accuracy: Accuracy
    flips: FlipTable
    mcnemar: McNemarTest
    nll: LogLoss
    known: bool
    unusable: Unusable | None
    nonfinite: dict[str, int]
    per_class: tuple[ClassResult, ...]


class ScoreSection(Part):
    """A number for each example other than the accuracy, from the log of another evaluator, under its own name.

    `increase` = tuned − base, paired, two-sided. A log does not say whether more is better, except for a log loss,
    which is what a `unit` of nats or bits means.
    """

    data: str
    variant: str
    metric: str
    unit: str | None
    n: int
    base: float
    tuned: float
    increase: Measured


class RivalSection(Part):
    """Two tuned variants on the same examples: which forgot less? `advantage_of_first` = accuracy first − second."""

    data: str
    first: str
    second: str
    n: int
    only_first_right: int
    only_second_right: int
    advantage_of_first: Measured
    mcnemar: McNemarTest


class LayerDrift(Part):
    """Features of one layer in base and in a variant."""

    layer: str
    stage: str
    n: int
    d: int
    pool: str
    cka: Measured


class FeatureSection(Part):
    """How far the features of one variant drifted on one data set: a diagnostic, correlated with forgetting."""

    data: str
    variant: str
    layers: tuple[LayerDrift, ...]
