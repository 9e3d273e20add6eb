"""doctor: what is installed, what is broken, and what each extra would add."""

import importlib
import importlib.metadata
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import typer

from forgetaudit import __version__
from forgetaudit.cli import console
from forgetaudit.models.extras import is_installed, recipe

__all__ = ["doctor"]

# The distribution → the module that is imported.
_CORE = {
    "torch": "torch", "safetensors": "safetensors", "datasets": "datasets", "numpy": "numpy", "scipy": "scipy",
    "pydantic": "pydantic", "typer": "typer", "rich": "rich", "jinja2": "jinja2", "pillow": "PIL",
}  # fmt: skip
_EXTRA = {
    "transformers": "models, tokenizers and image processors of Hugging Face directories",
    "peft": "LoRA, DoRA, IA³ and other adapters",
    "timm": "models of timm directories",
    "lm_eval": "tasks of lm-eval",
}

REFUSED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Library:
    """One library: `state` is "installed", "repaired", "broken" or "missing"; `said` says more."""

    name: str
    state: str
    version: str
    said: str = ""


def doctor() -> None:
    """Check the installation: Python, torch, what each extra adds, and what is broken."""
    core = [_look(name, module) for name, module in _CORE.items()]
    console.write_out(console.as_lines(_library_lines(core)))
    if any(found.state in ("broken", "missing") for found in core):
        raise typer.Exit(REFUSED)


def _library_lines(core: list[_Library]) -> Iterator[str]:
    yield f"forgetaudit {__version__}, Python {platform.python_version()} ({sys.executable})"
    yield f"torch        {_torch()}"
    for found in core:
        if found.state != "installed":
            yield _line(found)
    yield f"core         {sum(found.state == 'installed' for found in core)} of {len(core)} installed"
    for found in (_torchvision(), *(_look(name, name) for name in _EXTRA)):
        yield _line(found)


def _line(found: _Library) -> str:
    said = f": {found.said}" if found.said else ""
    return f"{found.name:<13}{found.state}{' ' + found.version if found.version else ''}{said}"


def _look(name: str, module: str) -> _Library:
    """Imported, not only found: a library that breaks does so on import."""
    if not is_installed(module):
        adds = f"adds {_EXTRA[name]}; " if name in _EXTRA else ""
        return _Library(name=name, state="missing", version="", said=adds + recipe(name))
    version = _version(name)
    try:
        importlib.import_module(module)
    except Exception as error:
        return _Library(name=name, state="broken", version=version, said=_broken(error, name))
    return _Library(name=name, state="installed", version=version)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _torch() -> str:
    if not is_installed("torch"):
        return "missing"
    try:
        from forgetaudit.models.machine import torch_text
    except Exception as error:
        return f"broken: {type(error).__name__}"
    return torch_text()


def _torchvision() -> _Library:
    """Not needed. But where it is there and broken, it takes transformers' and timm's image models with it."""
    if not is_installed("torchvision"):
        return _Library(name="torchvision", state="missing", version="", said="not needed but for timm")
    from forgetaudit.models.torchvision_repair import import_torchvision, was_repaired

    version = _version("torchvision")
    try:
        import_torchvision()
    except Exception as error:
        return _Library(
            name="torchvision", state="broken", version=version, said=_broken(error, "torchvision")
        )
    if not was_repaired():
        return _Library(name="torchvision", state="installed", version=version)
    said = "its operators do not load beside this torch; forgetaudit declares them, other programs fail on import"
    return _Library(name="torchvision", state="repaired", version=version, said=said)


def _broken(error: Exception, name: str) -> str:
    said = (str(error).strip().splitlines() or [""])[0][:160]
    return f"{type(error).__name__}: {said}; {recipe(name)}"
