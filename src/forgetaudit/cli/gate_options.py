"""What a report is judged by: each option once, in the order of the help."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from forgetaudit.planning import GateWords

__all__ = ["Gate"]

_PANEL = "Gate"

MaxDrop = Annotated[
    str | None,
    typer.Option(
        "--max-drop",
        metavar="2pt|2%",
        help="Largest drop of accuracy: points, or relative.",
        rich_help_panel=_PANEL,
    ),
]
MinCka = Annotated[
    float | None,
    typer.Option(
        "--min-cka",
        metavar="0.8",
        help="Lowest CKA of any watched layer but the head.",
        rich_help_panel=_PANEL,
    ),
]
MaxDistance = Annotated[
    float | None,
    typer.Option(
        "--max-distance", metavar="0.1", help="Largest relative weight distance.", rich_help_panel=_PANEL
    ),
]
Frozen = Annotated[
    list[str] | None,
    typer.Option(
        "--frozen",
        metavar="PATTERN",
        help="Tensors that must be bit-identical, buffers too.",
        rich_help_panel=_PANEL,
    ),
]
Confidence = Annotated[
    float | None,
    typer.Option("--confidence", metavar="0.95", help="One-sided, of the gate.", rich_help_panel=_PANEL),
]
MinSamples = Annotated[
    int | None,
    typer.Option(
        "--min-samples", min=2, metavar="200", help="Fewest examples of a pass.", rich_help_panel=_PANEL
    ),
]
FailWhenOption = Annotated[
    Literal["likely", "proven"] | None,
    typer.Option("--fail-when", help="How sure a failure has to be.", rich_help_panel=_PANEL),
]
OnInconclusiveOption = Annotated[
    Literal["warn", "fail", "pass"] | None,
    typer.Option("--on-inconclusive", help="What an undecided rule does.", rich_help_panel=_PANEL),
]
NoFail = Annotated[
    bool, typer.Option("--no-fail", help="End with 0 also where a rule failed.", rich_help_panel=_PANEL)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate(GateWords):
    """The gate's options, and whether a failure is forgiven."""

    max_drop: MaxDrop = None
    min_cka: MinCka = None
    max_distance: MaxDistance = None
    frozen: Frozen = None
    confidence: Confidence = None
    min_samples: MinSamples = None
    fail_when: FailWhenOption = None
    on_inconclusive: OnInconclusiveOption = None
    no_fail: NoFail = False
