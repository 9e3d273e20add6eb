"""What the examples said: accuracy, flips, log loss, classes, and how far the features drifted."""

from collections.abc import Sequence
from typing import Literal

from forgetaudit.report.parts import Absent, Measured, Part

__all__ = [
    "Accuracy",
    "CalibrationPart",
    "ClassResult",
    "ExamplePreview",
    "FeatureSection",
    "FlipTable",
    "Groups",
    "Guessing",
    "LayerDrift",
    "LogLoss",
    "LostExample",
    "McNemarTest",
    "NoiseFloor",
    "RivalSection",
    "ScoreSection",
    "SoftMeasure",
    "SourceSection",
    "Unusable",
    "counts_of",
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
    """Mean log loss in nats per question. `increase` = tuned − base, paired.

    `largest_rise` and `largest_gain` are what one question rose and fell by at most (of groups, their means): a pass
    assumes that no other rises by much more. None where they were not kept.
    """

    base: float | Absent
    tuned: float | Absent
    increase: Measured
    largest_rise: float | None = None
    largest_gain: float | None = None


# A fall that nobody would call noise.
_LARGE_FALL = 0.3


class ClassResult(Part):
    """One class, or group of examples. `adjusted_p` is two-sided mid-P after Benjamini–Hochberg, or Holm."""

    label: int
    name: str
    n: int
    base: float
    tuned: float
    drop: Measured
    adjusted_p: float
    flips: FlipTable | Absent = Absent(not_measured="only its accuracies were kept")

    @property
    def too_small_to_tell(self) -> bool:
        """Whether so few examples leave a fall of 30 points possible: that is not noise, it is not known."""
        if self.adjusted_p < 0.05 or isinstance(self.drop, Absent) or self.drop.high is None:
            return False
        return self.drop.high >= _LARGE_FALL


class Groups(Part):
    """Questions that are not independent: `n` groups of them, as the documents that tokens stand in, or `by` a column.

    They count as `effective` groups of equal size, (Σm)²/Σm², and give `degrees` of freedom: one large group among
    small ones gives next to none. 0 where their sizes were not kept: then nothing is proved. The effects are by what
    factor that widens the variance of the drop, and of the share of changed answers (Kish).
    """

    n: int
    effective: float = 0.0
    degrees: float = 0.0
    by: str | None = None
    drop_effect: float
    disagreement_effect: float


class CalibrationPart(Part):
    """Mean confidence of the answers, and expected calibration error (15 bins of equal width): a diagnostic."""

    base_confidence: float
    tuned_confidence: float
    base_error: float
    tuned_error: float


class Guessing(Part):
    """The drop and the share of forgotten questions, had none been guessed (a share `guess` is right blindly).

    A range for the forgotten: fresh guesses at its low end, the same guesses again at its high end. Explains, and
    judges nothing.
    """

    guess: float
    net_drop: float
    forgotten_low: float
    forgotten_high: float


class SoftMeasure(Part):
    """How far the answers moved beside right and wrong: `kl` is KL(base‖tuned), a diagnostic without labels."""

    measure: str
    unit: str | None
    value: Measured


class Unusable(Part):
    """Why behaviour on these data judges nothing. `id` is also the finding's."""

    id: Literal["base-at-chance", "labels-do-not-fit", "depends-on-batch"]
    reason: str


class SourceSection(Part):
    """What one variant lost of one source data set.

    `worst_class_by_chance` is how far the worst class falls on average if nothing changed but as many flips either way.

    `known` where bytes prove that nothing can have changed. `unusable` says why behaviour on these data judges
    nothing: base at chance, or labels that do not fit. `nonfinite` counts outputs with NaN or infinity. `metric` is
    what decides right or wrong, under the name that whoever measured it gave it.

    `n` counts questions, `unit` says what one is: an example, a token, a query. Where they come in `groups`, no test of
    McNemar holds, and the drop's limits are those of the effective number. `disagreement` is the share of
    questions that base and tuned answer differently, right or wrong: it needs no labels. `per_group` is what each of
    few groups by a column says, `per_stratum` what each value of the column `strata` does: strata are fixed and their
    examples independent, so shares keep their binomial limits, which strata can only make too wide. Where the
    data are `unlabelled`, base's answers stand for the right ones: what then seems lost is what changed, and
    no more than that can have been lost (drop ≤ forgotten ≤ disagreement).
    `sequential` where the run could stop at any example: the limits hold for that.
    """

    data: str
    variant: str
    n: int
    task: str
    metric: str = "accuracy"
    accuracy: Accuracy
    flips: FlipTable
    mcnemar: McNemarTest | Absent
    unit: str = "example"
    groups: Groups | None = None
    disagreement: Measured = Absent(not_measured="answers were not compared")
    nll: LogLoss
    soft: tuple[SoftMeasure, ...] = ()
    calibration: CalibrationPart | Absent = Absent(not_measured="the task gives no confidence")
    known: bool
    unusable: Unusable | None
    nonfinite: dict[str, int]
    per_class: tuple[ClassResult, ...]
    worst_class_by_chance: float | None = None
    per_group: tuple[ClassResult, ...] = ()
    strata: str | None = None
    per_stratum: tuple[ClassResult, ...] = ()
    guessing: Guessing | None = None
    unlabelled: bool = False
    sequential: bool = False


def counts_of(rows: Sequence[ClassResult]) -> tuple[tuple[int, int, int], ...]:
    """Forgotten, gained and all examples of every row whose flips were kept."""
    kept = [(row.flips, row.n) for row in rows if isinstance(row.flips, FlipTable)]
    return tuple((flips.forgotten, flips.gained, n) for flips, n in kept)


class ScoreSection(Part):
    """A number for each question other than the accuracy, from the task or the log of another evaluator.

    `increase` = tuned − base, paired, two-sided. Its name does not say whether more is better, except for a log
    loss, which is what a `unit` of nats or bits means.
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
    mcnemar: McNemarTest | Absent


class LayerDrift(Part):
    """Features of one layer in base and in a variant."""

    layer: str
    stage: str
    n: int
    d: int
    pool: str
    cka: Measured


class ExamplePreview(Part):
    """What a person sees of an example: a short text, or a small PNG as a data URI."""

    kind: Literal["text", "image"]
    content: str


class LostExample(Part):
    """An example that a variant does worse on than base; `row` is its place in the data, from 0.

    With one question `wanted`, `base` and `tuned` are the right answer and those given, and `confidence` is
    tuned's in its own. With several, `n` of them, only the numbers of right ones and the growth of the mean log
    loss are told. `preview` is None where it was not asked for, or cannot be shown.
    """

    data: str
    variant: str
    id: str
    row: int | None
    group: str | None
    n: int
    n_right_base: int
    n_right_tuned: int
    wanted: str | None
    base: str | None
    tuned: str | None
    confidence: float | None
    nll_increase: float | None
    preview: ExamplePreview | None


class NoiseFloor(Part):
    """Base against itself: once in batches of another size, once more in the same. What differs in either counts.

    Flips are of right and wrong. It is the machine that changes them, or random numbers of the network's own.
    """

    data: str
    n: int
    batch_sizes: tuple[int, int]
    n_answers_changed: int
    n_flips: int
    largest_nll_change: float


class FeatureSection(Part):
    """How far the features of one variant drifted on one data set: a diagnostic, correlated with forgetting."""

    data: str
    variant: str
    layers: tuple[LayerDrift, ...]
