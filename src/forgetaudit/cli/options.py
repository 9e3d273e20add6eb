"""Each option once: its words, its help, its parser."""

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__: list[str] = []

_RUN, _GATE, _OUT = "How it is run", "Gate", "Output"

Base = Annotated[
    Path | None,
    typer.Argument(
        metavar="BASE", help="The checkpoint that the fine-tune started from.", show_default=False
    ),
]
Tuned = Annotated[
    list[Path] | None,
    typer.Argument(metavar="TUNED…", help="The fine-tuned checkpoint, or several.", show_default=False),
]
Data = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="[NAME=]WHERE[:SPLIT]",
        help="Held-out source-task data: a directory, file, config entry or hf://id. Repeatable.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="PATH.PY:CALLABLE",
        help="The function that returns the network, without arguments.",
    ),
]
Task = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="NAME|MODULE:OBJECT",
        help="What the network is asked: classification, causal-lm, masked-lm, embedding, multiple-choice (or "
        "-normalised, by length), or a task of yours; seen in model and data otherwise.",
    ),
]
InputColumn = Annotated[
    list[str] | None,
    typer.Option(
        "--input-column", metavar="NAME", help="The column to look at; twice for two texts judged together."
    ),
]
LabelColumn = Annotated[
    str | None, typer.Option("--label-column", metavar="NAME", help="The column of labels.")
]

Layers = Annotated[
    list[str] | None,
    typer.Option(
        "--layers",
        metavar="PATTERN",
        help="Layers to watch, as module paths. Repeatable.",
        rich_help_panel=_RUN,
    ),
]
Pool = Annotated[
    Literal["mean", "flatten"],
    typer.Option("--pool", help="What a sample of features is.", rich_help_panel=_RUN),
]
Head = Annotated[
    Literal["auto", "own", "base"],
    typer.Option("--head", help="auto: base's head where tuned's does not fit.", rich_help_panel=_RUN),
]
Preprocess = Annotated[
    Literal["base", "each"],
    typer.Option(
        "--preprocess",
        help="Whose tokenizer or processor reads the inputs: base's for all, or each its own.",
        rich_help_panel=_RUN,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", min=2, metavar="N", help="A seeded random sample of N examples.", rich_help_panel=_RUN
    ),
]
GroupBy = Annotated[
    str | None,
    typer.Option(
        "--group-by",
        metavar="COLUMN",
        help="Rows alike in it share a source: they are not independent.",
        rich_help_panel=_RUN,
    ),
]
StopEarly = Annotated[
    bool,
    typer.Option(
        "--stop-early",
        help="Examples in random order, until --max-drop is decided; limits that allow for looking.",
        rich_help_panel=_RUN,
    ),
]
NoiseFloor = Annotated[
    bool,
    typer.Option(
        "--noise-floor",
        help="Run base again in other batches: what the machine alone flips.",
        rich_help_panel=_RUN,
    ),
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, metavar="N", rich_help_panel=_RUN)]
Device = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="NAME", help="cuda, mps or cpu; the best there is.", rich_help_panel=_RUN
    ),
]
Dtype = Annotated[
    Literal["float32", "bfloat16", "float16", "float64"] | None,
    typer.Option(
        "--dtype", help="One for both models: float32 on a CPU, base's own elsewhere.", rich_help_panel=_RUN
    ),
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, metavar="N", rich_help_panel=_RUN)]
Seed = Annotated[int, typer.Option("--seed", metavar="N", rich_help_panel=_RUN)]
Reuse = Annotated[
    bool,
    typer.Option(
        "--reuse/--no-reuse", help="Run a module once per distinct weights and inputs.", rich_help_panel=_RUN
    ),
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code", help="Run the Python that came with the checkpoint.", rich_help_panel=_RUN
    ),
]
HashWhole = Annotated[
    bool, typer.Option("--hash", help="Hash checkpoints of over 1 GB, too.", rich_help_panel=_RUN)
]

MaxDrop = Annotated[
    str | None,
    typer.Option(
        "--max-drop",
        metavar="2pt|2%",
        help="Largest drop of accuracy: points, or relative.",
        rich_help_panel=_GATE,
    ),
]
MinCka = Annotated[
    float | None,
    typer.Option(
        "--min-cka",
        metavar="0.8",
        help="Lowest CKA of any watched layer but the head.",
        rich_help_panel=_GATE,
    ),
]
MaxDistance = Annotated[
    float | None,
    typer.Option(
        "--max-distance", metavar="0.1", help="Largest relative weight distance.", rich_help_panel=_GATE
    ),
]
Frozen = Annotated[
    list[str] | None,
    typer.Option(
        "--frozen",
        metavar="PATTERN",
        help="Tensors that must be bit-identical, buffers too.",
        rich_help_panel=_GATE,
    ),
]
Confidence = Annotated[
    float | None,
    typer.Option("--confidence", metavar="0.95", help="One-sided, of the gate.", rich_help_panel=_GATE),
]
MinSamples = Annotated[
    int | None,
    typer.Option(
        "--min-samples", min=2, metavar="200", help="Fewest examples of a pass.", rich_help_panel=_GATE
    ),
]
FailWhenOption = Annotated[
    Literal["likely", "proven"] | None,
    typer.Option("--fail-when", help="How sure a failure has to be.", rich_help_panel=_GATE),
]
OnInconclusiveOption = Annotated[
    Literal["warn", "fail", "pass"] | None,
    typer.Option("--on-inconclusive", help="What an undecided rule does.", rich_help_panel=_GATE),
]
NoFail = Annotated[
    bool, typer.Option("--no-fail", help="End with 0 also where a rule failed.", rich_help_panel=_GATE)
]

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Read this config instead of the nearest one.")
]
NoConfig = Annotated[bool, typer.Option("--no-config", help="Read no config.")]
Output = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        metavar="FORMAT=PATH",
        help="Write the report, too: json, txt, md, html, junit, github or csv. Repeatable.",
        rich_help_panel=_OUT,
    ),
]
Examples = Annotated[
    Path | None,
    typer.Option(
        "--examples",
        metavar="FILE.parquet",
        help="Write what became of every example.",
        rich_help_panel=_OUT,
    ),
]
Rehearsal = Annotated[
    Path | None,
    typer.Option(
        "--rehearsal",
        metavar="DIR",
        help="Write the forgotten examples as a data set, to be mixed into the next training.",
        rich_help_panel=_OUT,
    ),
]
NoSamples = Annotated[
    bool,
    typer.Option(
        "--no-samples", help="No texts or pictures of examples in the report.", rich_help_panel=_OUT
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="The verdict line only.", rich_help_panel=_OUT)]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Also say every decision taken.", rich_help_panel=_OUT)
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be read and run, and stop.", rich_help_panel=_OUT)
]
