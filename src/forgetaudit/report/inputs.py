"""What went into an audit: everything the numbers depend on."""

from typing import Any

from forgetaudit.report.parts import Absent, Part

__all__ = ["DataInput", "Digest", "FileInput", "Inputs", "ModelInput", "VariantName"]


class Digest(Part):
    """A file's identity."""

    method: str
    value: str


class FileInput(Part):
    """A checkpoint as it was read, under its variant's name. `notes` are decisions taken while reading it.

    `path` is the file with the weights, or its index; `named` is what was asked for, a directory perhaps.
    """

    name: str
    path: str
    named: str | None = None
    format: str
    bytes: int
    digest: Digest | Absent
    notes: tuple[str, ...] = ()


class ModelInput(Part):
    """The network: who made it, on what evidence, and the layers watched."""

    name: str
    evidence: str
    notes: tuple[str, ...] = ()


class DataInput(Part):
    """A source data set as it was read."""

    data: str
    where: str
    n: int
    fingerprint: str
    classes: tuple[str, ...] | None
    decisions: tuple[str, ...]


class Inputs(Part):
    """Everything the numbers depend on."""

    base: FileInput
    tuned: tuple[FileInput, ...]
    model: ModelInput | Absent
    data: tuple[DataInput, ...]
    settings: dict[str, Any]
    versions: dict[str, str]


class VariantName(Part):
    """A variant that was run or measured. `grafted` are tensors of its head that it took from base.

    `graft_asked` where that was asked for; otherwise its own did not fit.
    """

    name: str
    grafted: tuple[str, ...] = ()
    graft_asked: bool = False
