"""Code of the user's that is run because the user named it: found, imported, and told where it failed."""

import contextlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

__all__ = ["module_from", "own_place_of", "place_of"]


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
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None:
        return "run it on its own first"
    return f"see {last.tb_frame.f_code.co_filename}:{last.tb_lineno}"


def own_place_of(error: BaseException) -> str | None:
    """The last line on the way to the error that is neither installed nor of this program; None where all are."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename and _PROGRAM not in Path(frame.filename).parents
    ]
    return f"see {own[-1].filename}:{own[-1].lineno}" if own else None


_PROGRAM = Path(__file__).parent


@contextlib.contextmanager
def _importable_from(directory: Path) -> Iterator[None]:
    before, bytecode = list(sys.path), sys.dont_write_bytecode
    sys.path.insert(0, str(directory))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path[:], sys.dont_write_bytecode = before, bytecode
