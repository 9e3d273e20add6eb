"""AuditReport: what was found, as plain frozen data. Fractions, never points; no NaN; absent things have a reason.

Schema history (adding a field is not a new version; changing a meaning is):
1  first version.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from forgetaudit.values import Interval, NotMeasured, Sides

__all__ = [
    "SCHEMA",
    "Absent",
    "Accuracy",
    "AuditReport",
    "ClassResult",
    "DataInput",
    "Digest",
    "Estimate",
    "FeatureSection",
    "FileInput",
    "Finding",
    "FlipTable",
    "Inputs",
    "LayerDrift",
    "LayerWeights",
    "LogLoss",
    "McNemarTest",
    "ModelInput",
    "Part",
    "RuleResult",
    "SourceSection",
    "TensorRow",
    "Unusable",
    "VariantName",
    "Verdict",
    "WeightSection",
    "WeightTotal",
    "estimate_from",
]

SCHEMA = "forgetaudit.report/1"

Kind = Literal["exact", "bound", "statistical", "diagnostic"]
Outcome = Literal["pass", "fail", "inconclusive", "not-judged", "refused"]
RuleOutcome = Literal["pass", "fail", "inconclusive", "not-judged", "refused", "warned", "waived"]
Severity = Literal["high", "medium", "low", "info"]
Confidence = Literal["certain", "high", "medium", "low"]
Ident = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$")]


class Part(BaseModel):
    """A piece of a report: frozen, complete, and without NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Absent(Part):
    """Something that was not measured, and why."""

    not_measured: str


class Estimate(Part):
    """A number with what is known of its uncertainty. `kind` says what sort of claim it is."""

    kind: Kind
    estimate: float
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    sides: Sides | None = None
    method: str


Measured = Estimate | Absent


def estimate_from(value: Interval | NotMeasured, kind: Kind = "statistical") -> Measured:
    """The report's form of an interval or of its absence."""
    if isinstance(value, NotMeasured):
        return Absent(not_measured=value.reason)
    return Estimate(
        kind=kind,
        estimate=value.estimate,
        low=value.low,
        high=value.high,
        confidence=value.confidence,
        sides=value.sides,
        method=value.method,
    )


class Digest(Part):
    """A file's identity."""

    method: str
    value: str


class FileInput(Part):
    """A checkpoint as it was read, under its variant's name. `notes` are decisions taken while reading it."""

    name: str
    path: str
    format: str
    bytes: int
    digest: Digest | Absent
    notes: tuple[str, ...] = ()


class ModelInput(Part):
    """The network: who made it, on what evidence, and the layers watched."""

    name: str
    evidence: str
    notes: tuple[str, ...] = ()


class DataInput(Part):
    """A source data set as it was read."""

    data: str
    where: str
    n: int
    fingerprint: str
    classes: tuple[str, ...] | None
    decisions: tuple[str, ...]


class Inputs(Part):
    """Everything the numbers depend on."""

    base: FileInput
    tuned: tuple[FileInput, ...]
    model: ModelInput | Absent
    data: tuple[DataInput, ...]
    settings: dict[str, Any]
    versions: dict[str, str]


class VariantName(Part):
    """A variant that was run or measured. `grafted` are tensors that it lacks and took from base."""

    name: str
    grafted: tuple[str, ...] = ()


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
    nothing: base at chance, or labels that do not fit. `nonfinite` counts outputs with NaN or infinity.
    """

    data: str
    variant: str
    n: int
    task: str
    accuracy: Accuracy
    flips: FlipTable
    mcnemar: McNemarTest
    nll: LogLoss
    known: bool
    unusable: Unusable | None
    nonfinite: dict[str, int]
    per_class: tuple[ClassResult, ...]


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


class WeightTotal(Part):
    """Distance from base. `relative` is ‖Δ‖/‖θ₀‖; parameters only, buffers have a line of their own."""

    n_tensors: int
    n_identical: int
    n_elements: int
    distance: float | Absent
    relative: float | Absent
    one_minus_cosine: float | Absent
    max_abs: float | Absent


class LayerWeights(Part):
    """The tensors of one layer: its parameters, its running statistics, its counters."""

    layer: str
    stage: str
    parameters: WeightTotal
    running: WeightTotal
    n_counters: int
    n_counters_identical: int

    @property
    def n_tensors(self) -> int:
        """Of every role."""
        return self.parameters.n_tensors + self.running.n_tensors + self.n_counters

    @property
    def is_still(self) -> bool:
        """Every tensor is bit-identical (up to a cast), buffers included."""
        return self.parameters_still and self.buffers_moved == 0

    @property
    def parameters_still(self) -> bool:
        """There are parameters, and none changed."""
        return 0 < self.parameters.n_tensors == self.parameters.n_identical

    @property
    def buffers_moved(self) -> int:
        """Running statistics and counters that changed."""
        running, counters = self.running, self.n_counters - self.n_counters_identical
        return running.n_tensors - running.n_identical + counters


class TensorRow(Part):
    """One tensor in base and tuned."""

    name: str
    tuned_name: str | None
    change: Literal[
        "identical", "cast", "changed", "renamed", "reshaped", "only-base", "only-tuned", "not-comparable"
    ]
    role: str
    dtype: str
    tuned_dtype: str | None
    shape: tuple[int, ...]
    distance: float | Absent
    relative: float | Absent
    one_minus_cosine: float | Absent
    max_abs: float | Absent
    n_nonfinite: int


class WeightSection(Part):
    """The exact part: what the bytes say of one variant against base."""

    variant: str
    kind: Literal["exact"] = "exact"
    identical: bool
    total: WeightTotal
    running: WeightTotal
    batches_in_training_mode: int | None
    layers: tuple[LayerWeights, ...]
    tensors: tuple[TensorRow, ...]
    alignment: tuple[str, ...]
    median_cosine: float | Absent
    looks_unrelated: bool


class Limits(Part):
    """The limits that a rule was judged on."""

    low: float
    high: float
    confidence: float
    sides: Sides


class RuleResult(Part):
    """One rule, judged for one variant on one data set."""

    rule: str
    outcome: RuleOutcome
    level: Literal["fail", "warn"]
    variant: str
    data: str | None = None
    value: float | None = None
    limit: float | None = None
    n: int | None = None
    limits: Limits | None = None
    further_examples: int | None = None
    reason: str


class Verdict(Part):
    """The judgement over all rules, and the exit code that it asks for."""

    outcome: Outcome
    exit_code: int
    rules: tuple[RuleResult, ...]


class Finding(Part):
    """Something a person should know: severity (how bad) and confidence (how sure) are separate."""

    id: Ident
    title: str
    severity: Severity
    confidence: Confidence
    variant: str | None = None
    data: str | None = None
    evidence: dict[str, Any] = Field(default_factory=dict)
    advice: str
    docs: str


class AuditReport(Part):
    """Everything that one audit found. `run` alone may differ between two runs on the same files."""

    schema_: Literal["forgetaudit.report/1"] = Field(default="forgetaudit.report/1", alias="schema")
    command: str
    verdict: Verdict
    inputs: Inputs
    variants: tuple[VariantName, ...]
    source: tuple[SourceSection, ...] | Absent
    features: tuple[FeatureSection, ...] | Absent
    weights: tuple[WeightSection, ...]
    findings: tuple[Finding, ...]
    run: dict[str, Any] = Field(default_factory=dict)

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    def to_json(self) -> str:
        """Indented by two, keys in the order of the schema, one newline at the end."""
        return self.model_dump_json(indent=2, by_alias=True) + "\n"
