"""Libraries that come with an extra: imported on request, and named with the pip command where they are missing."""

import importlib
import importlib.util
from types import ModuleType

from forgetaudit.errors import ModelError

__all__ = ["TIMM_RECIPE", "extra_of", "import_extra", "is_installed"]

# The library → the extra of forgetaudit that brings it.
_EXTRAS = {"transformers": "transformers", "peft": "transformers", "timm": "timm"}

# A plain `pip install timm` replaces torch by the newest one, and CUDA with it (see docs of each).
TIMM_RECIPE = (
    "pip install --no-deps torchvision==0.28.0 timm==1.0.31  (for torch 2.13; another torch has its own pair)"
)


def extra_of(library: str) -> str:
    """The extra that brings `library`."""
    return _EXTRAS.get(library, library)


def is_installed(library: str) -> bool:
    """Whether it can be found; it is not imported."""
    return importlib.util.find_spec(library) is not None


def import_extra(library: str, *, needed_for: str) -> ModuleType:
    """The library. ModelError with the command that installs it, or with what it said when it broke."""
    if not is_installed(library):
        hint = TIMM_RECIPE if library == "timm" else f"pip install 'forgetaudit[{extra_of(library)}]'"
        raise ModelError(f"{needed_for} needs {library}, which is not installed", hint=hint)
    try:
        return importlib.import_module(library)
    except Exception as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{library} is installed and cannot be imported",
            details=[f"{type(error).__name__}: {said}"],
            hint="forgetaudit doctor says what is broken",
        ) from error
