"""Every reader: each row, column and file that goes in is an example, is read with one, or is named as not read."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from forgetaudit.data.examples import Examples
from forgetaudit.data.readers import open_examples
from forgetaudit.data.select_rows import Selection, select_rows
from forgetaudit.data.sources import ArraySource
from forgetaudit.data.tables import TABLE_SUFFIXES
from forgetaudit.gaps import gaps_in

N = 6
HELD: dict[str, list[Any]] = {
    "text": [f"text number {n} of all" for n in range(N)],
    "label": [n % 2 for n in range(N)],
    "title": [f"title {n} of it" for n in range(N)],
    "year": list(range(1990, 1990 + N)),
}


@dataclass(frozen=True)
class Given:
    """Data on disk: where, how many examples went in, and the names of all that goes beyond input and label."""

    where: Path
    beyond: Sequence[str]
    first_screen: Sequence[str] = ("title",)


def _records() -> list[dict[str, Any]]:
    return [{name: values[n] for name, values in HELD.items()} | {"mixed": n or "zero"} for n in range(N)]


def _separated(path: Path) -> Given:
    sign = "," if path.suffix == ".csv" else "\t"
    rows = [list(HELD), *([str(values[n]) for values in HELD.values()] for n in range(N))]
    path.write_text("\n".join(map(sign.join, rows)))
    return Given(path, ["title", "year"])


def _json(path: Path) -> Given:
    rows = _records()
    path.write_text(json.dumps(rows) if path.suffix == ".json" else "\n".join(map(json.dumps, rows)))
    return Given(path, ["title", "year", "mixed"])


def _arrow_table() -> pa.Table:
    odd = pa.array([[("k", "v")]] * N, pa.map_(pa.string(), pa.string()))
    return pa.table({**HELD, "headers": odd})


def _parquet(path: Path) -> Given:
    pq.write_table(_arrow_table(), path)
    return Given(path, ["title", "year", "headers"])


def _arrow(path: Path) -> Given:
    table = _arrow_table()
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    return Given(path, ["title", "year", "headers"])


def _txt(path: Path) -> Given:
    path.write_text("\n".join(HELD["text"]))
    return Given(path, [], ())


def _npz(path: Path) -> Given:
    np.savez(path, x=np.zeros((N, 3)), y=HELD["label"], mask=np.zeros((N, 3)), year=HELD["year"], seed=7)
    return Given(path, ["mask", "year", "seed"], ("mask",))


def _saved(path: Path) -> Given:
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict(HELD).save_to_disk(str(path))
    return Given(path, ["title", "year"])


def _images(path: Path) -> Given:
    for n in range(N):
        (path / str(n % 2)).mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), n).save(path / str(n % 2) / f"{n}.png")
    for name in ("0/.hidden.png", "0/Thumbs.db", "1/notes.txt"):
        (path / name).write_bytes(b"x")
    return Given(path, [".hidden.png", "Thumbs.db", "notes.txt"], (".hidden.png",))


def _folder(path: Path) -> Given:
    (path / "older").mkdir(parents=True)
    for name, rows in {
        "a.jsonl": _records()[:2],
        "b.jsonl": _records()[2:],
        "older/c.jsonl": _records(),
    }.items():
        (path / name).write_text("\n".join(map(json.dumps, rows)))
    (path / "README.md").write_text("about")
    return Given(path, ["title", "year", "mixed", "README.md", "older"], ("title", "older"))


READERS: dict[str, Callable[[Path], Given]] = {
    ".csv": _separated,
    ".tsv": _separated,
    ".json": _json,
    ".jsonl": _json,
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".txt": _txt,
    ".npz": _npz,
    "a saved set": _saved,
    "images": _images,
    "a folder of tables": _folder,
}


def unaccounted(found: Examples, given: Given) -> tuple[int, set[str], set[str]]:
    """How many rows are missing; what is named nowhere; and what of that should stand on the first screen."""

    def silent(names: Sequence[str], said: Sequence[object]) -> set[str]:
        words = {word for text in said for word in re.split(r"[\s,;:]+", str(text))}
        return {name for name in names if name not in words}

    left = silent(given.beyond, found.decisions)
    return N - len(list(found)), left, silent(given.first_screen, gaps_in(found.decisions))


def test_every_reader_is_walked() -> None:
    assert {name for name in READERS if name.startswith(".")} == {*TABLE_SUFFIXES, ".npz"}


@pytest.mark.parametrize("reader", READERS)
def test_what_goes_into_a_reader_is_an_example_or_named(tmp_path: Path, reader: str) -> None:
    given = READERS[reader](tmp_path / (f"val{reader}" if reader.startswith(".") else "val"))
    found = open_examples(given.where.name, directory=tmp_path)
    assert unaccounted(found, given) == (0, set(), set())


def test_a_reader_that_drops_a_row_or_a_column_without_a_word_is_found_out() -> None:
    arrays = {"x": np.zeros((N, 3)), "y": np.array(HELD["label"]), "mask": np.zeros((N, 3))}
    given = Given(Path("val.npz"), ["mask"], ("mask",))

    def read(held: dict[str, Any]) -> Examples:
        return select_rows(ArraySource(held), "val", [], Selection())

    assert unaccounted(read(arrays), given) == (0, set(), set())
    assert unaccounted(read({name: held for name, held in arrays.items() if name != "mask"}), given)[1:] == (
        {"mask"},
        {"mask"},
    )
    assert unaccounted(read({name: held[1:] for name, held in arrays.items()}), given)[0] == 1
