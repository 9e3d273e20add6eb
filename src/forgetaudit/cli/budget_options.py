"""What weights may be told of the training run: a log, or its settings by hand."""

import math
from pathlib import Path
from typing import Annotated

import typer

from forgetaudit.budget.clues import Clues
from forgetaudit.budget.plan import BudgetPlan
from forgetaudit.budget.run import BOUNDED, WRITTEN
from forgetaudit.budget.schedules import SCHEDULES
from forgetaudit.errors import UsageError

__all__ = ["plan_budget"]

_PANEL = "The training run: how far can it have gone?"
# Named, and answered: there is no bound on what they do.
_UNBOUNDED = ("adafactor", "adamw8bit", "muon", "galore")
_NAMES = (*(name for name in BOUNDED if " " not in name), *_UNBOUNDED)

Log = Annotated[
    Path | None,
    typer.Option(
        "--log",
        metavar="FILE|DIR",
        rich_help_panel=_PANEL,
        help="trainer_state.json, optimizer.pt, a .json, .jsonl or .csv log, or their folder; else what lies by TUNED.",
    ),
]
Optimizer = Annotated[
    str | None,
    typer.Option(
        "--optimizer", metavar="NAME", rich_help_panel=_PANEL, help="adam, adamw, sgd, signsgd or lion."
    ),
]
Rate = Annotated[
    float | None,
    typer.Option("--lr", metavar="RATE", rich_help_panel=_PANEL, help="Its highest learning rate."),
]
TrainSteps = Annotated[
    int | None,
    typer.Option("--train-steps", metavar="N", rich_help_panel=_PANEL, help="How many steps it took."),
]
ScheduleName = Annotated[
    str | None,
    typer.Option(
        "--schedule",
        metavar="NAME",
        rich_help_panel=_PANEL,
        help=f"{', '.join(SCHEDULES)}; else the highest rate.",
    ),
]
Warmup = Annotated[
    int | None, typer.Option("--warmup", metavar="N", rich_help_panel=_PANEL, help="Steps of linear warm-up.")
]
Betas = Annotated[
    str | None,
    typer.Option("--betas", metavar="β₁,β₂", rich_help_panel=_PANEL, help="Those of Adam or AdamW."),
]
Decay = Annotated[
    float | None, typer.Option("--weight-decay", metavar="λ", rich_help_panel=_PANEL, help="Weight decay.")
]
Momentum = Annotated[
    float | None, typer.Option("--momentum", metavar="μ", rich_help_panel=_PANEL, help="That of SGD.")
]
Clip = Annotated[
    float | None,
    typer.Option(
        "--clip", metavar="NORM", rich_help_panel=_PANEL, help="What SGD's gradients were clipped to."
    ),
]
Written = Annotated[
    str | None,
    typer.Option(
        "--dtype-written",
        metavar="DTYPE",
        rich_help_panel=_PANEL,
        help="What the optimizer kept the weights in.",
    ),
]
MoreSteps = Annotated[
    int | None,
    typer.Option(
        "--more-steps",
        metavar="N",
        rich_help_panel=_PANEL,
        help="How much further would so many more steps go?",
    ),
]


def plan_budget(
    *,
    log: Path | None,
    optimizer: str | None,
    lr: float | None,
    train_steps: int | None,
    schedule: str | None,
    warmup: int | None,
    betas: str | None,
    weight_decay: float | None,
    momentum: float | None,
    clip: float | None,
    dtype_written: str | None,
    more_steps: int | None,
) -> BudgetPlan:
    """The options as a plan. UsageError for what is no rate, no count and no name that is known."""
    optimizer = _one_of("--optimizer", optimizer, _NAMES)
    _number("--lr", lr, above=0.0)
    _number("--weight-decay", weight_decay)
    _number("--momentum", momentum, below=1.0)
    _number("--clip", clip, above=0.0)
    for name, count in (("--train-steps", train_steps), ("--more-steps", more_steps)):
        _number(name, count, above=0)
    _number("--warmup", warmup)
    if warmup is not None and schedule is None:
        raise UsageError("--warmup is part of a schedule, and none was passed", hint="add --schedule")
    if optimizer not in (None, "sgd") and (momentum is not None or clip is not None):
        raise UsageError(
            f"--momentum and --clip bound SGD, and say nothing of {optimizer}",
            hint="leave them out: clipping does not shorten the way of Adam",
        )
    if optimizer in ("sgd", "signsgd", "lion") and betas is not None:
        raise UsageError(f"--betas say nothing of how far {optimizer} goes", hint="leave them out")
    said = {
        "--optimizer": optimizer, "--lr": lr, "--train-steps": train_steps, "--schedule": schedule, "--betas": betas,
        "--weight-decay": weight_decay, "--momentum": momentum, "--clip": clip,
    }  # fmt: skip
    typed = [f"{name} {value}" for name, value in said.items() if value is not None]
    return BudgetPlan(
        log=log,
        asked=Clues(
            optimizer=optimizer,
            betas=None if betas is None else _betas(betas),
            weight_decay=weight_decay,
            momentum=momentum,
            clip=clip,
            peak=lr,
            schedule=_one_of("--schedule", schedule, SCHEDULES),  # type: ignore[arg-type]
            n_warmup=warmup,
            n_steps=train_steps,
            dtype=_one_of("--dtype-written", dtype_written, tuple(WRITTEN)),
            assumed=(" ".join(typed),) if typed else (),
        ),
        n_more=more_steps,
    )


def _one_of(option: str, value: str | None, known: tuple[str, ...]) -> str | None:
    if value is None or value.lower() in known:
        return None if value is None else value.lower()
    raise UsageError(f"{option} {value!r} is unknown", hint=f"the known are {', '.join(known)}")


def _number(option: str, value: float | None, *, above: float | None = None, below: float = math.inf) -> None:
    if value is None or (value >= 0 and value < below and (above is None or value > above)):
        return
    least = "0 or more" if above is None else f"above {above:g}"
    most = "" if below == math.inf else f" and below {below:g}"
    raise UsageError(f"{option} {value:g} is not {least}{most}", hint="pass what the run was trained with")


def _betas(text: str) -> tuple[float, float]:
    try:
        first, second = (float(part) for part in text.replace(" ", "").split(","))
    except ValueError:
        first = second = math.nan
    if 0 <= first < 1 and 0 < second < 1:
        return first, second
    raise UsageError(f"--betas {text!r} are not two numbers below 1", hint="for example --betas 0.9,0.999")
