"""A torchvision whose compiled operators do not load beside a CPU build of torch, made importable.

The published wheel's library links CUDA, so that `import torchvision` ends with "operator torchvision::nms does not
exist". Declaring the two operators it asks about is enough for everything but calling them.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

import torch

from forgetaudit.models.extras import is_installed

__all__ = ["import_torchvision", "is_the_known_break", "was_repaired"]

_OPERATORS = ("nms", "qnms")
# Operators live as long as the library object that defined them.
_declared: list[Any] = []


def is_the_known_break(error: BaseException) -> bool:
    """Whether it is this very error, of operators that were never registered."""
    return isinstance(error, RuntimeError) and "operator torchvision::" in str(error)


def was_repaired() -> bool:
    """Whether this process had to declare operators to import torchvision."""
    return bool(_declared)


def import_torchvision() -> ModuleType | None:
    """torchvision, with its operators declared where they are missing; None where it is not installed.

    Nothing is declared unless importing fails with this very error. Any other error is raised as it is.
    """
    if not is_installed("torchvision"):
        return None
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if not is_the_known_break(error):
            raise
    _forget_half_imported()
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in _OPERATORS:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)
    return importlib.import_module("torchvision")


def _forget_half_imported() -> None:
    for name in [name for name in sys.modules if name == "torchvision" or name.startswith("torchvision.")]:
        del sys.modules[name]
