"""What people and programs write into configs and reports, spoiled: used by the tests and by `make fuzz`."""

import json
import random
import shutil
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import forgetaudit
from forgetaudit.config.file import CONFIG_NAME, find_config, read_config
from forgetaudit.errors import AuditError
from forgetaudit.judge.accepted import accept, read_accepted
from forgetaudit.judge.policy_record import policy_of
from forgetaudit.judge.saved import load_report
from forgetaudit.models.adapter_files import adapter_config, adapter_settings_text
from forgetaudit.models.declared_size import Weights, refuse_counts
from forgetaudit.models.evidence import find_evidence
from forgetaudit.renderers.formats import written
from forgetaudit.report.report import AuditReport

__all__ = ["KINDS", "attacked", "prepared", "spoiled_bytes", "spoiled_value"]

FIXTURES = Path(__file__).parent / "fixtures"
ODD: list[Any] = [
    None, True, -1, 0, 1, 10**30, -(10**30), 1.5, 1e308, float("nan"), float("inf"), "", "x", "\ud800", "\x00", "2pt",
    [], {}, [None], [[]], {"": None}, {"a": {"b": []}}, ["x"] * 50, "../../x", "~nobody/x", "x" * 5000, "/dev/zero",
]  # fmt: skip
FILE = Weights(name="x", n_tensors=1, n_elements=42, n_bytes=168)


def spoiled_value(value: Any, chance: random.Random) -> Any:
    """`value` with one of its parts, or itself, replaced by an odd one."""
    if not isinstance(value, dict | list) or not value or chance.random() < 0.2:
        return chance.choice(ODD)
    if isinstance(value, dict):
        key = chance.choice(sorted(value))
        if chance.random() < 0.1:
            return {name: part for name, part in value.items() if name != key}
        return {**value, key: spoiled_value(value[key], chance)}
    at = chance.randrange(len(value))
    return [*value[:at], spoiled_value(value[at], chance), *value[at + 1 :]]


def spoiled_bytes(text: bytes, chance: random.Random) -> bytes:
    """Cut, doubled, or with some bytes changed."""
    kind = chance.randrange(3)
    if kind == 0:
        return text[: chance.randrange(len(text) + 1)]
    at = chance.randrange(len(text) + 1)
    if kind == 1:
        return text[:at] + text[: chance.randrange(200)] + text[at:]
    changed = bytearray(text)
    for _ in range(chance.randrange(1, 5)):
        if changed:
            changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _network(folder: Path) -> None:
    evidence = find_evidence(folder)
    _ = evidence.class_names, evidence.wants_code
    refuse_counts(FILE, evidence.config, folder / "config.json")


def _adapter(folder: Path) -> None:
    adapter_settings_text(adapter_config(folder))


def _report(folder: Path) -> None:
    report = load_report(folder / "report.json")
    policy_of(report.inputs.settings.get("gate") or {})


def _seed(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


@cache
def _made() -> AuditReport:
    sample = FIXTURES.parent.parent / "sample_data"
    return forgetaudit.compare(
        sample / "base.safetensors", sample / "tuned.safetensors", data=[str(sample / "src_val")],
        model=f"{sample / 'digits.py'}:build",
    )  # fmt: skip


@cache
def _saved() -> bytes:
    return _made().to_json().encode()


@cache
def _page() -> bytes:
    return written(_made(), "html").encode()


@cache
def _blessed() -> bytes:
    return (
        accept(_made(), "tuned", report_sha256="0" * 64, today=date(2030, 1, 1), reason="x")
        .to_json()
        .encode()
    )


TOML = b"""model = "digits.py:build"
[data.val]
path = "src_val"
split = "test"
[gate]
confidence = 0.95
min-samples = 200
[gate.rules]
accuracy = { max-drop = "2pt", level = "fail", min-samples = 100 }
cka = { min = 0.8 }
frozen = { tensors = ["stem.*"] }
"log-loss" = { max-increase = "5%" }
[[gate.waivers]]
rule = "accuracy"
max-drop = "3pt"
reason = "known"
expires = 2030-01-01
"""

# Where a kind of file lies, what is read of it, and what a good one holds.
KINDS: dict[str, tuple[str, Callable[[Path], object], Callable[[], bytes]]] = {
    "toml": (CONFIG_NAME, lambda folder: read_config(folder / CONFIG_NAME), lambda: TOML),
    "pyproject": (
        "pyproject.toml",
        find_config,
        lambda: b"[tool.forgetaudit]\n" + TOML.replace(b"[data", b"[tool.forgetaudit.data").replace(b"[gate", b"[tool.forgetaudit.gate"),
    ),
    "bert": ("config.json", _network, lambda: _seed("bert/base/config.json")),
    "timm": ("config.json", _network, lambda: _seed("timm-convnext/base/config.json")),
    "sentences": ("modules.json", _network, lambda: _seed("sbert/base/modules.json")),
    "adapter": ("adapter_config.json", _adapter, lambda: _seed("llama/lora/adapter_config.json")),
    "report": ("report.json", _report, _saved),
    "page": ("report.html", lambda folder: load_report(folder / "report.html"), _page),
    "accepted": ("accepted.json", lambda folder: read_accepted(folder / "accepted.json"), _blessed),
}  # fmt: skip


def attacked(folder: Path, kind: str, chance: random.Random) -> bool:
    """Spoil a good file of `kind` and read it: whether it was refused. Raises whatever is no AuditError."""
    name, read, seed = KINDS[kind]
    text = seed()
    if name.endswith(".json") and chance.random() < 0.7:
        text = json.dumps(spoiled_value(json.loads(text), chance)).encode("utf-8", "surrogatepass")
    else:
        text = spoiled_bytes(text, chance)
    (folder / name).write_bytes(text)
    try:
        read(folder)
    except AuditError as error:
        str(error)
        return True
    return False


def prepared(folder: Path, kind: str) -> Path:
    """What lies beside a file of `kind`."""
    if kind == "sentences":
        shutil.copytree(FIXTURES / "sbert" / "base", folder, dirs_exist_ok=True)
    return folder
