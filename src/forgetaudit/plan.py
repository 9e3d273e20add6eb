"""AuditPlan: everything a run will do, decided before anything is opened."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forgetaudit.policy import Policy

__all__ = ["AuditPlan", "DataPlan", "ModelPlan", "Settings"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the models are run. None means: decided from the machine or the model, and said in the report."""

    task: str | None = None
    layers: tuple[str, ...] = ()
    pool: str = "mean"
    head: str = "auto"
    limit: int | None = None
    batch_size: int = 64
    device: str | None = None
    dtype: str | None = None
    threads: int | None = None
    seed: int = 0
    reuse: bool = True
    hash_whole: bool = False
    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPlan:
    """What a comparison will read, run and judge.

    `tuned` holds one or more checkpoints, each compared with `base`; `names` are their names in the report.
    """

    base: Path
    tuned: tuple[Path, ...]
    names: tuple[str, ...]
    model: ModelPlan | None = None
    data: tuple[DataPlan, ...] = ()
    settings: Settings = field(default_factory=Settings)
    policy: Policy = field(default_factory=Policy)
    config: str | None = None
