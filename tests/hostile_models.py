"""The files that libraries keep beside weights, spoiled: used by the tests and by `make fuzz`.

Each is read as an audit reads it: a network is built of a config, texts are encoded by a tokenizer, an image is
prepared by a processor, and the files of two folders are compared.
"""

import copy
import json
import pickle
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed.checkpoint as dcp
from PIL import Image
from safetensors.torch import save_file
from tests.checkpoints.hostile import opened
from tests.hostile_configs import spoiled_bytes, spoiled_value

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.errors import AuditError
from forgetaudit.models.architecture import Architecture, Preparation
from forgetaudit.models.declared_size import Weights, refuse_counts
from forgetaudit.models.evidence import Evidence, find_evidence
from forgetaudit.models.from_timm import TimmArchitecture
from forgetaudit.models.from_transformers import TransformersArchitecture

__all__ = ["KINDS", "attacked", "prepared", "spoiled_everywhere"]

FIXTURES = Path(__file__).parent / "fixtures"
TEXTS = ["One of the two", "is longer than the other, [MASK] and odd: \x00 é 日本"]
CPU = {"dtype": torch.float32, "device": torch.device("cpu")}
# In every place where a file has a value.
ODD: list[Any] = [
    None, True, -1, 0, 3, 2**31, 2**64, 3 * 10**9, 10**30, 0.5, -0.5, 1e308, float("nan"), float("inf"), "", "x",
    "\ud800", "\x00", "x" * 5000, [], {}, [None], [[]], [-1], [10**9], {"": None}, {"a": {"b": []}}, "/dev/zero",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A file of a folder of the fixtures, how the folder is prepared, and how it is read."""

    family: str
    file: str
    read: Callable[[Path, Path], object]
    prepare: Callable[[Path], object] = lambda _: None


def _architecture(evidence: Evidence) -> Architecture:
    return (TimmArchitecture if evidence.library == "timm" else TransformersArchitecture)(evidence)


def _as_base(folder: Path, sound: Path) -> None:
    with open_checkpoint(folder / "model.safetensors") as base:
        evidence = find_evidence(folder)
        _ = evidence.class_names, evidence.other_kind
        refuse_counts(Weights.of(base), evidence.config, evidence.folder / "config.json")
        _used(_architecture(evidence).build(base, seed=0, **CPU).preparation)


def _as_tuned(folder: Path, sound: Path) -> None:
    with open_checkpoint(sound) as base, open_checkpoint(folder) as tuned:
        architecture = _architecture(find_evidence(sound))
        built = architecture.build(base, seed=0, **CPU)
        _refused(lambda: architecture.load(built.model, tuned, **CPU))
        if isinstance(architecture, TransformersArchitecture):
            _used(architecture.own_preparation(built.model, tuned) or built.preparation)


def _used(made: Preparation) -> None:
    if made.encode is not None:
        made.encode(TEXTS)
        made.encode([("One", "of the two")])
    if made.tokens is not None:
        made.tokens.read(TEXTS, special_tokens=True)
    if made.preprocess is not None:
        made.preprocess(Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)))


def _either(folder: Path, sound: Path) -> bool:
    """Whether it was refused as base, or as a checkpoint tuned from a sound one."""
    return any([_refused(lambda: _as_base(folder, sound)), _refused(lambda: _as_tuned(folder, sound))])


def _adapter(folder: Path, sound: Path) -> None:
    root = FIXTURES / "llama" / "base"
    with open_checkpoint(root) as base:
        architecture = TransformersArchitecture(find_evidence(root))
        architecture.build(base, seed=0, **CPU)
        with architecture.adapted(base, folder) as adapted:
            for name, info in adapted.tensors.items():
                adapted.read(name, 0, memoryview(bytearray(min(info.n_bytes, 8))))


def _checkpoint(folder: Path, sound: Path) -> bool:
    return not opened(folder)


def _refused(read: Callable[[], object]) -> bool:
    try:
        read()
    except AuditError as error:
        str(error)
        return True
    return False


def _vocab_txt(folder: Path) -> None:
    found = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(sorted(found, key=found.get)))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))


def _merges(folder: Path) -> None:
    found = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(found["vocab"]))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}))
    lines = [pair if isinstance(pair, str) else " ".join(pair) for pair in found["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *lines]))


def _special(folder: Path) -> None:
    said = {"unk_token": "[UNK]", "pad_token": {"content": "[PAD]", "lstrip": False, "special": True}}
    (folder / "special_tokens_map.json").write_text(json.dumps(said))
    (folder / "added_tokens.json").write_text(json.dumps({"[NEW]": 4000}))


def _templates(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    path = folder / "tokenizer_config.json"
    named = [{"name": "default", "template": "{{ messages }}"}, {"name": "tool", "template": "x"}]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": named}))


def _processor_config(folder: Path) -> None:
    shutil.copy(folder / "preprocessor_config.json", folder / "processor_config.json")


def _distributed(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    dcp.save({"w": torch.ones(4, 2), "b": torch.zeros(3)}, checkpoint_id=folder, no_dist=True)


def _sharded(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    for name in ("a", "b"):
        save_file({name: torch.ones(3)}, folder / f"model-{name}.safetensors")
    index = {"metadata": {"total_size": 24}, "weight_map": {n: f"model-{n}.safetensors" for n in "ab"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


KINDS: dict[str, Kind] = {
    "tokenizer": Kind(family="bert/base", file="tokenizer.json", read=_either),
    "tokenizer-bpe": Kind(family="gpt2/base", file="tokenizer.json", read=_either),
    "tokenizer-config": Kind(family="bert/base", file="tokenizer_config.json", read=_either),
    "special-tokens": Kind(
        family="bert/base", file="special_tokens_map.json", read=_either, prepare=_special
    ),
    "added-tokens": Kind(family="bert/base", file="added_tokens.json", read=_either, prepare=_special),
    "vocab-txt": Kind(family="bert/base", file="vocab.txt", read=_either, prepare=_vocab_txt),
    "vocab-json": Kind(family="gpt2/base", file="vocab.json", read=_either, prepare=_merges),
    "merges": Kind(family="gpt2/base", file="merges.txt", read=_either, prepare=_merges),
    "chat-template": Kind(family="bert/base", file="chat_template.jinja", read=_either, prepare=_templates),
    "chat-templates": Kind(
        family="bert/base", file="tokenizer_config.json", read=_either, prepare=_templates
    ),
    "processor": Kind(family="vit/base", file="preprocessor_config.json", read=_either),
    "processor-convnext": Kind(family="convnext/base", file="preprocessor_config.json", read=_either),
    "processor-config": Kind(
        family="vit/base", file="processor_config.json", read=_either, prepare=_processor_config
    ),
    "bert": Kind(family="bert/base", file="config.json", read=_either),
    "gpt2": Kind(family="gpt2/base", file="config.json", read=_either),
    "llama": Kind(family="llama/base", file="config.json", read=_either),
    "generation": Kind(family="gpt2/base", file="generation_config.json", read=_either),
    "vit": Kind(family="vit/base", file="config.json", read=_either),
    "convnext": Kind(family="convnext/base", file="config.json", read=_either),
    "timm": Kind(family="timm-convnext/base", file="config.json", read=_either),
    "sentences": Kind(family="sbert/base", file="modules.json", read=_either),
    "pooling": Kind(family="sbert/base", file="1_Pooling/config.json", read=_either),
    "prompts": Kind(family="sbert/base", file="config_sentence_transformers.json", read=_either),
    "sentence-length": Kind(family="sbert/base", file="sentence_bert_config.json", read=_either),
    "sentence-encoder": Kind(family="sbert/base", file="config.json", read=_either),
    "adapter": Kind(family="llama/lora", file="adapter_config.json", read=_adapter),
    "distributed": Kind(family="vit/base", file=".metadata", read=_checkpoint, prepare=_distributed),
    "index": Kind(family="vit/base", file="model.safetensors.index.json", read=_checkpoint, prepare=_sharded),
}


def prepared(folder: Path, kind: str) -> bytes:
    """A sound folder for `kind` at `folder`/sound, and one to be spoiled; what the file holds."""
    for name in ("sound", "spoiled"):
        shutil.copytree(FIXTURES / KINDS[kind].family, folder / name)
        KINDS[kind].prepare(folder / name)
    return (folder / "sound" / KINDS[kind].file).read_bytes()


def attacked(folder: Path, kind: str, text: bytes) -> bool:
    """Read the spoiled folder with `text` in its file: whether it was refused. Raises whatever is no AuditError."""
    spoiled = folder / "spoiled"
    (spoiled / KINDS[kind].file).write_bytes(text)
    found: list[object] = []
    return _refused(lambda: found.append(KINDS[kind].read(spoiled, folder / "sound"))) or any(found)


def spoiled(text: bytes, kind: str, chance: random.Random) -> bytes:
    """One odd value, or odd bytes."""
    if KINDS[kind].file.endswith(".json") and chance.random() < 0.7:
        return json.dumps(spoiled_value(json.loads(text), chance)).encode("utf-8", "surrogatepass")
    return spoiled_bytes(text, chance)


def spoiled_everywhere(text: bytes, kind: str) -> Iterator[tuple[str, bytes]]:
    """Every way that needs no chance, with its name: other encodings, cuts, and each place with each odd value."""
    yield "empty", b""
    yield "a byte order mark", b"\xef\xbb\xbf" + text
    yield "other line ends", text.replace(b"\n", b"\r\n")
    yield "not UTF-8", text[: len(text) // 2] + b"\xe9\xff" + text[len(text) // 2 :]
    yield "UTF-16", text.decode("latin-1").encode("utf-16")
    yield "zeros", bytes(100)
    yield "deep lists", b"[" * 100_000
    yield "deep objects", b'{"a":' * 100_000
    yield "half", text[: len(text) // 2]
    yield "a pickle", pickle.dumps([1])
    if not KINDS[kind].file.endswith(".json"):
        return
    value = json.loads(text)
    for odd in ODD:
        yield f"whole {odd!r:.20}", json.dumps(odd).encode("utf-8", "surrogatepass")
    if isinstance(value, dict) and value:
        yield "twice each", text.rstrip()[:-1] + b"," + text.lstrip()[1:]
    for place in _places(value):
        yield f"without {place}", json.dumps(_changed(value, place, None, remove=True)).encode()
        for odd in ODD:
            changed = json.dumps(_changed(value, place, odd))
            yield f"{place} {odd!r:.20}", changed.encode("utf-8", "surrogatepass")


def _places(value: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of a long list or table the first few and the last."""
    if not isinstance(value, dict | list):
        return
    items = list(value.items() if isinstance(value, dict) else enumerate(value))
    for key, part in items if len(items) < 60 else [*items[:2], items[-1]]:
        yield (*prefix, key)
        yield from _places(part, (*prefix, key))


def _changed(value: Any, place: tuple[Any, ...], odd: Any, *, remove: bool = False) -> Any:
    """A copy; only what lies on the way is copied."""
    made = copy.copy(value)
    key, *rest = place
    if rest:
        made[key] = _changed(value[key], tuple(rest), odd, remove=remove)
    elif remove:
        del made[key]
    else:
        made[key] = odd
    return made
