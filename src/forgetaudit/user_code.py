"""Code of the user's that is run because the user named it: found, imported, and told where it failed."""

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

__all__ = ["module_from", "place_of"]


def module_from(where: str, directory: Path) -> ModuleType:
    """The module `path.py`, relative to `directory`, or `package.module`; raises whatever it raises.

    The file may import its neighbours, as it can where it is usually run; no bytecode is left there.
    """
    with _importable_from(directory):
        if not where.endswith(".py"):
            return importlib.import_module(where)
        path = directory / where
        spec = importlib.util.spec_from_file_location(f"forgetaudit_user_{path.stem}", path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        # Dataclasses and pickling look a class's module up by name.
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module


def place_of(error: BaseException) -> str:
    """Where the user's code raised, as an editor understands it."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return "run it on its own first"
    return f"see {traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"


@contextlib.contextmanager
def _importable_from(directory: Path) -> Iterator[None]:
    before, bytecode = list(sys.path), sys.dont_write_bytecode
    sys.path.insert(0, str(directory))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path[:], sys.dont_write_bytecode = before, bytecode
