"""How a network is found and run: each option once, in the order of the help, and what all of them mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from forgetaudit import planning
from forgetaudit.config import Config
from forgetaudit.plan import AuditPlan, Settings
from forgetaudit.policy import Policy

__all__ = ["Running"]

_PANEL = "How it is run"

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
        rich_help_panel=_PANEL,
    ),
]
Pool = Annotated[
    Literal["mean", "flatten"],
    typer.Option("--pool", help="What a sample of features is.", rich_help_panel=_PANEL),
]
Head = Annotated[
    Literal["auto", "own", "base"],
    typer.Option("--head", help="auto: base's head where tuned's does not fit.", rich_help_panel=_PANEL),
]
Weights = Annotated[
    Literal["ema", "raw"] | None,
    typer.Option(
        "--weights",
        help="Which weights of a training checkpoint that holds both: averaged (EMA) or raw; raw otherwise.",
        rich_help_panel=_PANEL,
    ),
]
Preprocess = Annotated[
    Literal["base", "each"],
    typer.Option(
        "--preprocess",
        help="Whose tokenizer or processor reads the inputs: base's for all, or each its own.",
        rich_help_panel=_PANEL,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", min=2, metavar="N", help="A seeded random sample of N examples.", rich_help_panel=_PANEL
    ),
]
GroupBy = Annotated[
    str | None,
    typer.Option(
        "--group-by",
        metavar="COLUMN",
        help="Rows alike in it share a source: they are not independent.",
        rich_help_panel=_PANEL,
    ),
]
Strata = Annotated[
    str | None,
    typer.Option(
        "--strata",
        metavar="COLUMN",
        help="Fixed domains or subjects: each has its own interval; rows are independent.",
        rich_help_panel=_PANEL,
    ),
]
StopEarly = Annotated[
    bool,
    typer.Option(
        "--stop-early",
        help="Examples in random order, until --max-drop is decided; limits that allow for looking.",
        rich_help_panel=_PANEL,
    ),
]
NoiseFloor = Annotated[
    bool,
    typer.Option(
        "--noise-floor",
        help="Run base again, in other batches and in the same: what the machine alone flips.",
        rich_help_panel=_PANEL,
    ),
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, metavar="N", rich_help_panel=_PANEL)]
Device = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="NAME", help="cuda, mps or cpu; the best there is.", rich_help_panel=_PANEL
    ),
]
Dtype = Annotated[
    Literal["float32", "bfloat16", "float16", "float64"] | None,
    typer.Option(
        "--dtype", help="One for both models: float32 on a CPU, base's own elsewhere.", rich_help_panel=_PANEL
    ),
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, metavar="N", rich_help_panel=_PANEL)]
Seed = Annotated[int, typer.Option("--seed", metavar="N", rich_help_panel=_PANEL)]
Reuse = Annotated[
    bool,
    typer.Option(
        "--reuse/--no-reuse",
        help="Run a module once per distinct weights and inputs.",
        rich_help_panel=_PANEL,
    ),
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code", help="Run the Python that came with the checkpoint.", rich_help_panel=_PANEL
    ),
]
HashWhole = Annotated[
    bool, typer.Option("--hash", help="Hash checkpoints of over 1 GB, too.", rich_help_panel=_PANEL)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Which network is run, on which columns, and how."""

    model: Model = None
    task: Task = None
    input_column: InputColumn = None
    label_column: LabelColumn = None
    layers: Layers = None
    pool: Pool = "mean"
    head: Head = "auto"
    weights: Weights = None
    preprocess: Preprocess = "base"
    limit: Limit = None
    group_by: GroupBy = None
    strata: Strata = None
    stop_early: StopEarly = False
    noise_floor: NoiseFloor = False
    batch_size: BatchSize = 64
    device: Device = None
    dtype: Dtype = None
    threads: Threads = None
    seed: Seed = 0
    reuse: Reuse = True
    hash_whole: HashWhole = False
    trust_remote_code: TrustRemoteCode = False

    def plan(
        self, base: Path, tuned: Sequence[Path], data: Sequence[str], config: Config, policy: Policy
    ) -> AuditPlan:
        """What would be run. AuditError for what is not there, not known, or cannot be meant."""
        return planning.plan_audit(
            base,
            tuned,
            data,
            config,
            model=self.model,
            settings=self._settings(),
            policy=policy,
            input_column=",".join(self.input_column or ()) or None,
            label_column=self.label_column,
        )

    def _settings(self) -> Settings:
        return Settings(
            task=planning.plan_task(self.task),
            layers=tuple(self.layers or ()),
            pool=self.pool,
            head=self.head,
            weights=self.weights,
            preprocess=self.preprocess,
            limit=self.limit,
            group_by=self.group_by,
            strata=self.strata,
            stop_early=self.stop_early,
            noise_floor=self.noise_floor,
            batch_size=self.batch_size,
            device=self.device,
            dtype=self.dtype,
            threads=self.threads,
            seed=self.seed,
            reuse=self.reuse,
            hash_whole=self.hash_whole,
            trust_remote_code=self.trust_remote_code,
        )
