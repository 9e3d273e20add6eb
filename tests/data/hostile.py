"""Data as nobody writes them: good files with a few bytes, values or types changed, opened and read as a user would."""

import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from tests.logs.hostile import NASTY

from forgetaudit.data.readers import open_examples
from forgetaudit.errors import AuditError

ROWS = [{"text": f'text {n}, with "quotes"', "label": n % 3, "note": None} for n in range(6)]
LABELS = datasets.ClassLabel(names=["a", "b", "c"])


def _table() -> pa.Table:
    features = datasets.Features(text=datasets.Value("string"), label=LABELS)
    held = {name: [row[name] for row in ROWS] for name in features}
    return datasets.Dataset.from_dict(held, features=features).data.table


def _arrays() -> pa.Table:
    features = datasets.Features(x=datasets.Array2D((2, 3), "float32"), label=LABELS)
    held = {"x": np.arange(24, dtype=np.float32).reshape(4, 2, 3), "label": [0, 1, 2, 0]}
    return datasets.Dataset.from_dict(held, features=features).data.table


def _image(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(file, kind)
    return file.getvalue()


def _parquet(table: pa.Table, compression: str = "snappy") -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, compression=compression)
    return file.getvalue()


def _images() -> pa.Table:
    features = datasets.Features(image=datasets.Image(), label=LABELS)
    held = {"image": [{"bytes": _image("PNG"), "path": None}] * 4, "label": [0, 1, 2, 0]}
    return datasets.Dataset.from_dict(held, features=features).data.table


def _arrow(table: pa.Table, *, stream: bool, compression: str | None = None) -> bytes:
    file = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(file, table.schema, options=options) as writer:
        writer.write_table(table)
    return file.getvalue()


def _npz(save: Callable[..., None]) -> bytes:
    file = io.BytesIO()
    save(
        file,
        x=np.arange(24, dtype=np.float32).reshape(6, 4),
        y=np.arange(6) % 3,
    )
    return file.getvalue()


def _separated(sign: str) -> bytes:
    lines = [sign.join(["text", "label", "note"])] + [
        sign.join([f'"a ""{n}"""', str(n % 3), ""]) for n in range(6)
    ]
    return "\n".join(lines).encode()


SEEDS: tuple[tuple[str, bytes], ...] = (
    ("val.csv", _separated(",")),
    ("val.tsv", _separated("\t")),
    ("val.txt", "one\ntwo ä\n\nthree".encode()),
    ("val.json", json.dumps(ROWS).encode()),
    ("val.jsonl", "\n".join(map(json.dumps, ROWS)).encode()),
    ("val.npz", _npz(np.savez)),
    ("val.npz", _npz(np.savez_compressed)),
    ("val.parquet", _parquet(_table())),
    ("val.parquet", _parquet(_table(), "none")),
    ("val.parquet", _parquet(_images())),
    ("val.arrow", _arrow(_table(), stream=True)),
    ("val.arrow", _arrow(_table(), stream=False)),
    ("val.arrow", _arrow(_table(), stream=False, compression="zstd")),
    ("val.arrow", _arrow(_images(), stream=True)),
    ("val.arrow", _arrow(_arrays(), stream=True)),
    ("val.parquet", _parquet(_arrays())),
    *(
        (f"images/a/0.{kind}", _image(name))
        for kind, name in (("png", "PNG"), ("jpg", "JPEG"), ("gif", "GIF"))
    ),
    *(
        (f"images/a/0.{kind}", _image(name))
        for kind, name in (("bmp", "BMP"), ("webp", "WEBP"), ("tif", "TIFF"))
    ),
)
SAVED = ("state.json", "dataset_info.json", "data-00000-of-00001.arrow")


def opened(path: Path) -> bool:
    """Whether it opens as data and reads to its end. Everything but AuditError gets through."""
    try:
        for number, _ in enumerate(open_examples(path.name, directory=path.parent)):
            if number > 50:
                break
    except AuditError as refusal:
        if not (refusal.fact and refusal.hint):
            raise AssertionError(f"a refusal without words: {refusal.fact}") from refusal
        return False
    return True


class Hostile:
    """Attacks the readers of data in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.saved = folder / "saved"
        datasets.disable_progress_bars()
        datasets.Dataset(_table(), fingerprint="unused").save_to_disk(str(self.saved))
        self._sound = {name: (self.saved / name).read_bytes() for name in SAVED}
        (folder / "images" / "a").mkdir(parents=True)

    def attack(self, draw: random.Random) -> bool:
        """One changed file, opened; whether it could still be read."""
        kind = draw.randrange(4)
        if kind == 0:
            return self._attack_saved(draw)
        if kind == 1:
            return self._attack_values(draw)
        if kind == 2:
            return self._attack_metadata(draw)
        name, sound = draw.choice(SEEDS)
        return self.attacked(name, spoiled(sound, draw))

    def attacked(self, name: str, data: bytes) -> bool:
        """The bytes under one name of data; what lies in an image folder is opened as one."""
        path = self.folder / name
        path.write_bytes(data)
        try:
            return opened(self.folder / name.partition("/")[0])
        finally:
            path.unlink()

    def _attack_saved(self, draw: random.Random) -> bool:
        name = draw.choice(SAVED)
        sound = self._sound[name]
        data = spoiled(sound, draw)
        if name.endswith(".json") and draw.random() < 0.7:
            data = json.dumps(replaced(json.loads(sound), draw)).encode("utf-8", "surrogatepass")
        (self.saved / name).write_bytes(data)
        try:
            return opened(self.saved)
        finally:
            (self.saved / name).write_bytes(sound)

    def _attack_values(self, draw: random.Random) -> bool:
        rows = ROWS
        for _ in range(draw.randint(1, 3)):
            rows = replaced(rows, draw)
        text = json.dumps(rows).encode("utf-8", "surrogatepass")
        return self.attacked("val.json", text)

    def _attack_metadata(self, draw: random.Random) -> bool:
        """What `datasets` wrote of its columns, spoiled."""
        table = draw.choice(TABLES)
        said = json.loads(table.schema.metadata[b"huggingface"])
        stored = json.dumps(replaced(said, draw)).encode("utf-8", "surrogatepass")
        if draw.random() < 0.3:
            stored = spoiled(stored, draw)
        odd = table.replace_schema_metadata({b"huggingface": stored})
        return self.attacked("val.arrow", _arrow(odd, stream=True))


TABLES = (_table(), _images(), _arrays())


def spoiled(data: bytes, draw: random.Random) -> bytes:
    """A few bytes changed, a piece cut out, doubled or put in, or the end cut off."""
    made = bytearray(data)
    for _ in range(draw.randint(1, 6)):
        place = draw.randrange(len(made) or 1)
        match draw.randrange(5):
            case 0 if made:
                made[place] = draw.randrange(256)
            case 1:
                del made[place : place + draw.randint(1, 16)]
            case 2:
                made[place:place] = made[place : place + draw.randint(1, 16)]
            case 3:
                made[place : place + 8] = draw.choice(
                    [b"\xff" * 8, bytes(8), (2**62).to_bytes(8, "little"), b"\x7f" * 8]
                )
            case _ if draw.random() < 0.2:
                del made[place:]
    return bytes(made)


def replaced(value: Any, draw: random.Random) -> Any:
    """The same nested lists and objects with one value or key exchanged for a nasty one."""
    if not isinstance(value, list | dict) or not value or draw.random() < 0.15:
        return draw.choice(NASTY)
    if isinstance(value, list):
        place = draw.randrange(len(value))
        return [*value[:place], replaced(value[place], draw), *value[place + 1 :]]
    name = draw.choice(list(value))
    if draw.random() < 0.2:
        return {(str(draw.choice(NASTY)) if key == name else key): held for key, held in value.items()}
    return value | {name: replaced(value[name], draw)}
