"""What weights may be told of the training run: a log, or its settings by hand."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from forgetaudit.budget.clues import Clues
from forgetaudit.budget.optimizers import BOUNDED, UNBOUNDED
from forgetaudit.budget.plan import BudgetPlan
from forgetaudit.budget.run import WRITTEN
from forgetaudit.budget.schedules import SCHEDULES
from forgetaudit.errors import UsageError
from forgetaudit.paths import looked_up

__all__ = ["Training", "plan_budget"]

Known = TypeVar("Known", bound=str)

_PANEL = "The training run: how far can it have gone?"
_NAMES = (*(name for name in BOUNDED if " " not in name), *UNBOUNDED)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What was said of the run, as it was typed."""

    log: Log = None
    optimizer: Optimizer = None
    lr: Rate = None
    train_steps: TrainSteps = None
    schedule: ScheduleName = None
    warmup: Warmup = None
    betas: Betas = None
    weight_decay: Decay = None
    momentum: Momentum = None
    clip: Clip = None
    dtype_written: Written = None
    more_steps: MoreSteps = None


def plan_budget(said: Training) -> BudgetPlan:
    """The options as a plan. UsageError for what is no rate, no count and no name that is known."""
    if said.log is not None:
        looked_up(said.log, "--log")
    optimizer = _one_of("--optimizer", said.optimizer, _NAMES)
    _number("--lr", said.lr, above=0.0)
    _number("--weight-decay", said.weight_decay)
    _number("--momentum", said.momentum, below=1.0)
    _number("--clip", said.clip, above=0.0)
    for name, count in (("--train-steps", said.train_steps), ("--more-steps", said.more_steps)):
        _number(name, count, above=0)
    _number("--warmup", said.warmup)
    _refuse_idle(said, optimizer)
    return BudgetPlan(
        log=said.log,
        asked=Clues(
            optimizer=optimizer,
            betas=None if said.betas is None else _betas(said.betas),
            weight_decay=said.weight_decay,
            momentum=said.momentum,
            clip=said.clip,
            peak=said.lr,
            schedule=_one_of("--schedule", said.schedule, SCHEDULES),
            n_warmup=said.warmup,
            n_steps=said.train_steps,
            dtype=_one_of("--dtype-written", said.dtype_written, tuple(WRITTEN)),
            assumed=_assumed(said, optimizer),
        ),
        n_more=said.more_steps,
    )


def _refuse_idle(said: Training, optimizer: str | None) -> None:
    """UsageError for what says nothing of how far `optimizer` goes."""
    if said.warmup is not None and said.schedule is None:
        raise UsageError("--warmup is part of a schedule, and none was passed", hint="add --schedule")
    if optimizer not in (None, "sgd") and (said.momentum is not None or said.clip is not None):
        raise UsageError(
            f"--momentum and --clip bound SGD, and say nothing of {optimizer}",
            hint="leave them out: clipping does not shorten the way of Adam",
        )
    if optimizer in ("sgd", "signsgd", "lion") and said.betas is not None:
        raise UsageError(f"--betas say nothing of how far {optimizer} goes", hint="leave them out")


def _assumed(said: Training, optimizer: str | None) -> tuple[str, ...]:
    """What the report repeats of it, in one piece."""
    words = {
        "--optimizer": optimizer, "--lr": said.lr, "--train-steps": said.train_steps, "--schedule": said.schedule,
        "--betas": said.betas, "--weight-decay": said.weight_decay, "--momentum": said.momentum, "--clip": said.clip,
        "--dtype-written": said.dtype_written,
    }  # fmt: skip
    typed = [f"{name} {value}" for name, value in words.items() if value is not None]
    return (" ".join(typed),) if typed else ()


def _one_of(option: str, value: str | None, known: tuple[Known, ...]) -> Known | None:
    if value is None:
        return None
    for name in known:
        if value.lower() == name:
            return name
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
