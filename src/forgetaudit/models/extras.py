"""Libraries that come with an extra: imported on request, and named with the pip command where they are missing."""

import importlib
import importlib.util
from types import ModuleType

from forgetaudit.errors import ModelError

__all__ = ["first_missing", "import_extra", "is_installed", "recipe"]

# The library → the extra of forgetaudit that brings it.
_EXTRAS = {
    "transformers": "transformers",
    "peft": "transformers",
    "lm_eval": "lm-eval",
}
# A plain `pip install timm` brings the newest torchvision, which replaces torch by the newest one.
_TIMM_RECIPE = (
    "pip install --no-deps torchvision==0.28.0 timm==1.0.31 (a pair for torch 2.13; each torch has its own)"
)


def recipe(library: str) -> str:
    """The command that installs `library`."""
    if library in ("timm", "torchvision"):
        return _TIMM_RECIPE
    return (
        f"pip install 'forgetaudit[{_EXTRAS[library]}]'" if library in _EXTRAS else f"pip install {library}"
    )


def is_installed(library: str) -> bool:
    """Whether it can be found; it is not imported."""
    return importlib.util.find_spec(library) is not None


def first_missing(library: str) -> str | None:
    """`library`, or what it cannot be imported without, where that is not installed."""
    wanted = ("timm", "torchvision") if library == "timm" else (library,)
    return next((name for name in wanted if not is_installed(name)), None)


def import_extra(library: str, *, needed_for: str) -> ModuleType:
    """The library. ModelError with the command that installs it, or with what it said when it broke."""
    if (missing := first_missing(library)) is not None:
        raise ModelError(f"{needed_for} needs {missing}, which is not installed", hint=recipe(missing))
    try:
        return importlib.import_module(library)
    except Exception as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{library} is installed and cannot be imported",
            details=[f"{type(error).__name__}: {said}"],
            hint="forgetaudit doctor says what is broken",
        ) from error
