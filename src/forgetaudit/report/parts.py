"""What every section of a report is made of: frozen, complete, and without NaN or infinity."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from forgetaudit.values import Interval, NotMeasured, Sides

__all__ = ["Absent", "Estimate", "Kind", "Measured", "Part", "estimate_from"]


Kind = Literal["exact", "bound", "statistical", "diagnostic"]


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
