"""The checkpoints of an audit as the report names them."""

from collections.abc import Iterable
from pathlib import Path

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.checkpoints.digest import digest
from forgetaudit.errors import UsageError
from forgetaudit.gaps import gaps_in
from forgetaudit.plan import Settings, utf8
from forgetaudit.report.inputs import Digest, FileInput
from forgetaudit.report.parts import Absent
from forgetaudit.values import NotMeasured

__all__ = ["describe_file", "refuse_idle_choice"]


def refuse_idle_choice(choice: str | None, opened: Iterable[Checkpoint]) -> None:
    """UsageError where `--weights` says which of two sets is meant, and no file holds two."""
    if choice is None or any(gap.ident == "raw-or-averaged" for one in opened for gap in gaps_in(one.notes)):
        return
    raise UsageError(
        f"--weights {choice}: no checkpoint here holds both raw weights and averaged ones",
        hint="leave it out",
    )


def describe_file(name: str, checkpoint: Checkpoint, settings: Settings, *, named: Path) -> FileInput:
    """The identity of a checkpoint, under the name it has in the report; `named` is what the user asked for."""
    found = digest(checkpoint, whole=settings.hash_whole)
    # "." is asked for, and its name is told.
    asked = named if named.name not in ("", "..") else named.resolve()
    return FileInput(
        name=name,
        path=utf8(str(checkpoint.path)),
        named=utf8(str(asked)),
        format=checkpoint.format,
        bytes=sum(file.stat().st_size for file in checkpoint.files),
        digest=Absent(not_measured=f"{found.reason} (--hash)")
        if isinstance(found, NotMeasured)
        else Digest(method="sha256", value=found),
        notes=tuple(utf8(str(note)) for note in checkpoint.notes),
    )
