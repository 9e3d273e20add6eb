"""Chat templates beside a tokenizer: read as text, wherever the library puts them, and never rendered."""

from collections.abc import Mapping
from pathlib import Path

from forgetaudit.checkpoints.regular_file import RegularFile
from forgetaudit.errors import UnreadableCheckpoint
from forgetaudit.models.sidecars import MAX_SIDECAR_BYTES, read_sidecar
from forgetaudit.wording import some

__all__ = ["chat_templates", "template_differences"]

DEFAULT = "default"


def chat_templates(folder: Path) -> Mapping[str, str]:
    """Name → template; the one without a name is `default`.

    Files of their own (`chat_template.jinja`, `additional_chat_templates/NAME.jinja`) win over tokenizer_config.json,
    which holds one text or a list of named ones, as in transformers.
    """
    found: dict[str, str] = {}
    for name in ("chat_template.json", "tokenizer_config.json"):
        found |= _listed((read_sidecar(folder, name) or {}).get("chat_template"))
    if (path := folder / "chat_template.jinja").is_file():
        found[DEFAULT] = _text(path)
    for path in sorted((folder / "additional_chat_templates").glob("*.jinja")):
        found[path.stem] = _text(path)
    return found


def template_differences(base: Path, tuned: Path) -> tuple[str, ...]:
    """A sentence where the two do not have the same templates. Data are read as they stand, with neither."""
    one, two = chat_templates(base), chat_templates(tuned)
    told = [
        f"{what} ({some(names)})"
        for what, names in (
            ("changed", [name for name in one if name in two and one[name] != two[name]]),
            ("new", [name for name in two if name not in one]),
            ("gone", [name for name in one if name not in two]),
        )
        if names
    ]
    return (
        (f"its chat template differs: {', '.join(told)}; texts are read as they stand, without one",)
        if told
        else ()
    )


def _listed(value: object) -> dict[str, str]:
    if isinstance(value, str):
        return {DEFAULT: value}
    entries = value if isinstance(value, list) else []
    return {
        str(entry["name"]): str(entry["template"])
        for entry in entries
        if isinstance(entry, dict) and {"name", "template"} <= entry.keys()
    }


def _text(path: Path) -> str:
    file = RegularFile(path)
    try:
        if file.size > MAX_SIDECAR_BYTES:
            raise UnreadableCheckpoint(
                f"{path} has {file.size:,} bytes, more than {MAX_SIDECAR_BYTES:,}",
                hint="replace it with the file that was saved with the weights",
            )
        return file.read(0, file.size).decode("utf-8", "replace")
    finally:
        file.close()
