"""AuditReport: what was found, as plain frozen data. Fractions, never points; no NaN; absent things have a reason.

Schema history (adding a field is not a new version; changing a meaning is):
1  first version.
"""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from forgetaudit.report.behaviour import (
    FeatureSection,
    LostExample,
    NoiseFloor,
    RivalSection,
    ScoreSection,
    SourceSection,
)
from forgetaudit.report.budget import BudgetAbsent, BudgetSection
from forgetaudit.report.inputs import Inputs, VariantName
from forgetaudit.report.locate import LocateSection
from forgetaudit.report.parts import Absent, Part
from forgetaudit.report.repair import RepairSection
from forgetaudit.report.trace import TraceSection
from forgetaudit.report.verdict import Finding, Verdict
from forgetaudit.report.weights import WeightSection

__all__ = ["SCHEMA", "AuditReport"]

SCHEMA = "forgetaudit.report/1"
_REFUSED = 2


class AuditReport(Part):
    """Everything that one audit found. `run` alone may differ between two runs on the same files."""

    schema_: Literal["forgetaudit.report/1"] = Field(default="forgetaudit.report/1", alias="schema")
    command: str
    verdict: Verdict
    inputs: Inputs
    variants: tuple[VariantName, ...]
    source: tuple[SourceSection, ...] | Absent
    features: tuple[FeatureSection, ...] | Absent
    rivals: tuple[RivalSection, ...] = ()
    scores: tuple[ScoreSection, ...] = ()
    noise: tuple[NoiseFloor, ...] = ()
    lost: tuple[LostExample, ...] = ()
    weights: tuple[WeightSection, ...] | Absent
    budget: tuple[BudgetSection | BudgetAbsent, ...] = ()
    trace: TraceSection | None = None
    locate: tuple[LocateSection, ...] = ()
    repair: RepairSection | None = None
    findings: tuple[Finding, ...]
    run: dict[str, Any] = Field(default_factory=dict)

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    @property
    def exit_code(self) -> int:
        """What the command ends with: the code of the verdict or, of a repair that met not all that was asked, 1."""
        if self.repair is None or self.verdict.exit_code == _REFUSED:
            return self.verdict.exit_code
        return 0 if self.repair.met else 1

    def to_json(self) -> str:
        """Indented by two, keys in the order of the schema, one newline at the end."""
        return self.model_dump_json(indent=2, by_alias=True) + "\n"
