"""One safetensors file."""

from pathlib import Path
from types import TracebackType
from typing import Self

from forgetaudit.checkpoints.header import read_header
from forgetaudit.checkpoints.regular_file import RegularFile
from forgetaudit.gaps import Notes

__all__ = ["SafetensorsFile"]


class SafetensorsFile:
    """One safetensors file as a Checkpoint: its header checked, its values read at positions."""

    format = "safetensors"

    def __init__(self, path: Path, notes: Notes = ()) -> None:
        self.path = path
        self.files: tuple[Path, ...] = (path,)
        self.notes = notes
        self._file = RegularFile(path)
        try:
            header = read_header(self._file)
        except BaseException:
            self._file.close()
            raise
        self.tensors = header.tensors
        self.metadata = header.metadata
        self._starts = header.starts

    def read(self, name: str, start_byte: int, out: memoryview) -> None:
        """Fill `out` with the tensor's bytes from `start_byte`."""
        n_bytes = self.tensors[name].n_bytes
        if not 0 <= start_byte <= n_bytes - len(out):
            raise ValueError(f"{name!r} has {n_bytes} bytes; {len(out)} from {start_byte} were asked for")
        self._file.read_into(self._starts[name] + start_byte, out)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
