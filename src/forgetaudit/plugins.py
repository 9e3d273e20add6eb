"""Names → parts: built in, installed by another package (entry points), or pointed at (`module:object`).

Only what is typed can point: no file that came with data or weights names code to be run.
"""

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from forgetaudit.errors import UsageError
from forgetaudit.user_code import module_from
from forgetaudit.wording import some

__all__ = ["Part", "find_part"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part that was found by its `name`; `load` imports it. `origin` says where it is from, `ours` if it is ours."""

    name: str
    origin: str
    ours: bool
    load: Callable[[], Any]


def find_part(
    name: str, built_in: Mapping[str, str], *, group: str, option: str, directory: Path | None = None
) -> Part:
    """The part that `option` calls `name`; nothing is imported yet.

    `built_in` gives "module:attribute" for each name of our own; `group` is that of the entry points. A name with a
    colon points at an object of a module or file, which may lie in `directory` (the working directory).
    UsageError naming those known.
    """
    if name in built_in:
        return Part(
            name=name, origin="built in", ours=True, load=lambda: _attribute(built_in[name], option, None)
        )
    installed = {entry.name: entry for entry in entry_points(group=group)}
    if name in installed:
        return _installed(name, installed[name], option)
    where, _, attribute = name.rpartition(":")
    if where and attribute.isidentifier():
        folder = directory or Path.cwd()
        return Part(name=name, origin="pointed at", ours=False, load=lambda: _attribute(name, option, folder))
    known = [*built_in, *sorted(installed.keys() - built_in.keys())]
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"pass one of them, or {option} module:object"
    raise UsageError(f"{option} {name} is not known", details=[f"known: {some(known, 12)}"], hint=hint)


def _installed(name: str, entry: EntryPoint, option: str) -> Part:
    origin = f"installed by {entry.dist.name}" if entry.dist is not None else "installed"

    def load() -> Any:
        with _translating_errors(
            f"{option} {name} ({entry.value}) cannot be imported", "update or remove that package"
        ):
            return entry.load()

    return Part(name=name, origin=origin, ours=False, load=load)


def _attribute(reference: str, option: str, directory: Path | None) -> Any:
    where, _, attribute = reference.rpartition(":")
    with _translating_errors(
        f"{option} {reference}: {where} cannot be imported", "import it on its own first"
    ):
        module = _module(where, directory)
    if not hasattr(module, attribute):
        near = get_close_matches(attribute, [name for name in vars(module) if name[0] != "_"], n=1)
        hint = f"did you mean {near[0]}?" if near else "name what stands in it"
        raise UsageError(f"{option} {reference}: {where} has no {attribute}", hint=hint)
    return getattr(module, attribute)


def _module(where: str, directory: Path | None) -> ModuleType:
    return importlib.import_module(where) if directory is None else module_from(where, directory)


@contextlib.contextmanager
def _translating_errors(fact: str, hint: str) -> Iterator[None]:
    """Whatever code of others raises when it is imported is told in our words; what it prints goes to stderr."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        raise UsageError(fact, details=[said], hint=hint) from error
