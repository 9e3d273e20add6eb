"""Data files come from strangers: they are parsed inside one guard, which says in words what is wrong with them."""

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forgetaudit.errors import DataError

__all__ = ["first_line", "reading"]

# UTF-32 first: its mark begins with that of UTF-16.
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
BLOCK = 1 << 20


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever a damaged file makes a parser raise inside becomes a DataError that names the file."""
    try:
        yield
    except DataError:
        raise
    except UnicodeDecodeError as error:
        raise _other_encoding(path, error) from error
    except OSError as error:
        raise DataError(
            f"{path} cannot be read",
            details=[first_line(error)],
            hint=f"check that {path.name} is there, is complete, and may be read",
        ) from error
    # pyarrow, json, csv, zipfile and numpy raise what they like; the user has one thing to do about all of it.
    except Exception as error:
        kind = path.suffix.lower().removeprefix(".")
        hint = f"check that {path.name} is complete and really {kind}"
        raise DataError(f"{path} cannot be read as {kind}", details=[first_line(error)], hint=hint) from error


def first_line(error: Exception) -> str:
    """What a foreign error says, without the lines that are of use to its own developers."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _other_encoding(path: Path, error: UnicodeDecodeError) -> DataError:
    """Names the first byte that is not UTF-8, and where it stands in the file."""
    kind = path.suffix.lower().removeprefix(".")
    with path.open("rb") as file:
        start = file.read(4)
    marked = next((name for mark, name in MARKS.items() if start.startswith(mark)), None)
    found = _first_bad_byte(path)
    details = [] if found is None else ["byte 0x{:02X} at offset {:,}, in line {:,}".format(*found)]
    name = marked or "ISO-8859-1"
    guess = f"it begins as {marked} does" if marked else "it may be Latin-1 (ISO-8859-1) or Windows-1252"
    return DataError(
        f"{path} cannot be read as {kind}: it is not UTF-8",
        details=[*(details or [first_line(error)]), guess],
        hint=f"convert it: iconv -f {name} -t UTF-8 {path.name} > utf8.{kind}",
    )


def _first_bad_byte(path: Path) -> tuple[int, int, int] | None:
    """The byte, its offset, and the line it stands in, counted from 1."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset, line = 0, 1
    with path.open("rb") as file:
        while True:
            block = file.read(BLOCK)
            pending = decoder.getstate()[0]
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                held = pending + block
                at = offset - len(pending) + error.start
                return held[error.start], at, line + held.count(b"\n", 0, error.start)
            if not block:
                return None
            offset += len(block)
            line += block.count(b"\n")
