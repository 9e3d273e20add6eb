"""The checkpoints and the data that commands are given, each once."""

from pathlib import Path
from typing import Annotated, Any

import typer

__all__: list[str] = []

_WHERE = "[NAME=]WHERE[:SPLIT]"
_BASE = typer.Argument(
    metavar="BASE", help="The checkpoint that the fine-tune started from.", show_default=False
)
Base = Annotated[Path, _BASE]
BaseIfAny = Annotated[Path | None, _BASE]
RunStart = Annotated[
    Path, typer.Argument(metavar="BASE", help="The checkpoint that the run started from.", show_default=False)
]
Tuned = Annotated[
    Path, typer.Argument(metavar="TUNED", help="The fine-tuned checkpoint.", show_default=False)
]
TunedOrAdapter = Annotated[
    Path, typer.Argument(metavar="TUNED", help="The fine-tuned checkpoint, or adapter.", show_default=False)
]
EveryTuned = Annotated[
    list[Path] | None,
    typer.Argument(metavar="TUNED…", help="The fine-tuned checkpoint, or several.", show_default=False),
]
Data = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar=_WHERE,
        help="Held-out source-task data: a directory, file, config entry or hf://id. Repeatable.",
    ),
]


def _target(said: str) -> Any:
    return typer.Option("--target", metavar=_WHERE, help=said)


Target = Annotated[str | None, _target("Held-out data of the target task.")]
LearnedTarget = Annotated[
    str | None, _target("Held-out data of the target task: what the fine-tune learned.")
]
