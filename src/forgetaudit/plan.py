"""AuditPlan: everything a run will do, decided before anything is opened."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from forgetaudit.errors import UsageError
from forgetaudit.policy import MOST_EXAMPLES, Policy, integer_limit

__all__ = ["AuditPlan", "DataPlan", "ModelPlan", "Settings", "texts", "utf8"]

POOLS = ("mean", "flatten")
HEADS = ("auto", "own", "base")
PREPROCESS = ("base", "each")
WEIGHTS = ("ema", "raw")
DTYPES = ("float32", "bfloat16", "float16", "float64")
# What torch takes as a seed.
LARGEST_SEED = 2**64 - 1
MOST_THREADS = 4096


def utf8(text: str) -> str:
    """`text` as every report can hold it: the bytes of a file name that are not UTF-8 become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlan:
    """Where the architecture comes from: `factory` is `path.py:callable`, `module:callable`, or a function itself.

    `directory` is what a relative path is relative to; `evidence` says who named it, for the report.
    """

    factory: str | Callable[[], Any]
    directory: Path
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPlan:
    """One source data set: its `name` in the report, `where` it is, and what overrules the detection."""

    name: str
    where: str
    directory: Path
    decision: str
    split: str | None = None
    input_column: str | None = None
    label_column: str | None = None


def texts(value: object, name: str) -> tuple[str, ...]:
    """A list of texts. UsageError for one text, which would be read letter by letter, and for anything else."""
    if isinstance(value, (list, tuple)) and all(isinstance(text, str) for text in value):
        return tuple(value)
    raise UsageError(f"{name}={value!r} is not a list of texts", hint=f'pass a list, as in {name}=["stem"]')


def _refuse_unknown(name: str, value: object, known: Sequence[str]) -> None:
    if value not in known:
        near = get_close_matches(str(value), known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"{name} {value!r} is unknown", hint=f"{hint}the known are {', '.join(known)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the models are run. None means: decided from the machine or the model, and said in the report.

    UsageError for a value that is not known, a count that is not a whole number, or one text where a list belongs.
    """

    task: str | None = None
    group_by: str | None = None
    strata: str | None = None
    stop_early: bool = False
    noise_floor: bool = False
    layers: tuple[str, ...] = ()
    pool: str = "mean"
    head: str = "auto"
    preprocess: str = "base"
    limit: int | None = None
    weights: Literal["ema", "raw"] | None = None
    batch_size: int = 64
    device: str | None = None
    dtype: str | None = None
    threads: int | None = None
    seed: int = 0
    reuse: bool = True
    hash_whole: bool = False
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        _refuse_unknown("pool", self.pool, POOLS)
        _refuse_unknown("head", self.head, HEADS)
        _refuse_unknown("preprocess", self.preprocess, PREPROCESS)
        if self.weights is not None:
            _refuse_unknown("weights", self.weights, WEIGHTS)
        if self.dtype is not None:
            _refuse_unknown("dtype", self.dtype, DTYPES)
        object.__setattr__(self, "layers", texts(self.layers, "layers"))
        integer_limit(self.batch_size, "batch_size", low=1, high=MOST_EXAMPLES)
        integer_limit(self.seed, "seed", low=0, high=LARGEST_SEED)
        self._refuse_both()
        if self.limit is not None:
            integer_limit(self.limit, "limit", low=2, high=MOST_EXAMPLES)
        if self.threads is not None:
            integer_limit(self.threads, "threads", low=1, high=MOST_THREADS)

    def _refuse_both(self) -> None:
        """Strata are fixed and hold independent examples; groups are drawn and hold dependent ones."""
        if self.strata is None:
            return
        if self.group_by is not None:
            raise UsageError(
                "--strata and --group-by do not go together: strata hold independent examples, groups dependent ones",
                hint="pass --strata for a fixed list of domains, --group-by for sources that examples share",
            )
        if self.stop_early:
            raise UsageError(
                "--strata and --stop-early do not go together: the limits for stopping are of all examples as one",
                hint="leave one of them out",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPlan:
    """What a comparison will read, run and judge.

    `tuned` holds one or more checkpoints, each compared with `base`; `names` are their names in the report. Where it is
    asked for, `examples` gets what became of every example, and `rehearsal` those that were forgotten, as a data
    set; `show_samples` lets the report show a few of them.
    """

    base: Path
    tuned: tuple[Path, ...]
    names: tuple[str, ...]
    model: ModelPlan | None = None
    data: tuple[DataPlan, ...] = ()
    settings: Settings = field(default_factory=Settings)
    policy: Policy = field(default_factory=Policy)
    examples: Path | None = None
    rehearsal: Path | None = None
    show_samples: bool = True
    config: str | None = None

    def inputs(self) -> Iterator[Path]:
        """The files and folders that a run would read, but for the config."""
        yield from (self.base, *self.tuned)
        if self.model is not None and isinstance(self.model.factory, str):
            yield self.model.directory / self.model.factory.rpartition(":")[0]
        for data in self.data:
            yield data.directory / data.where
