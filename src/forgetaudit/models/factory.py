"""A network from a Python callable: `path.py:callable` or `package.module:callable`."""

import contextlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from forgetaudit.errors import ModelError
from forgetaudit.paths import looked_up
from forgetaudit.user_code import module_from, place_of

__all__ = ["Built", "build_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A network without its weights yet, who made it, and how it wants an input prepared (None: the default)."""

    model: nn.Module
    name: str
    evidence: str
    preprocess: Callable[[Any], Any] | None


def build_model(
    factory: str | Callable[[], object], *, directory: Path, evidence: str, seed: int = 0
) -> Built:
    """Call `factory`, which takes no arguments and returns an nn.Module.

    It is a function, or names one; a relative path is relative to `directory`. If the module has a callable
    attribute `preprocess`, it turns one input into one tensor. What the factory prints goes to stderr, because
    stdout is the report's. ModelError if it cannot be found, raises, or returns something else.
    """
    name = factory if isinstance(factory, str) else getattr(factory, "__qualname__", repr(factory))
    with contextlib.redirect_stdout(sys.stderr), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _call(_named(factory, directory) if isinstance(factory, str) else factory, name)
    preprocess = getattr(model, "preprocess", None)
    return Built(
        model=model.eval(),
        name=name,
        evidence=evidence,
        preprocess=preprocess if callable(preprocess) else None,
    )


def _named(factory: str, directory: Path) -> Callable[[], object]:
    where, _, attribute = factory.rpartition(":")
    if not where or not attribute.isidentifier():
        raise ModelError(
            f"--model {factory} is not of the form path.py:callable or module:callable",
            hint="name the function that returns the model, as in digits.py:build",
        )
    return _attribute(_module(where, directory), attribute, factory)


def _module(where: str, directory: Path) -> ModuleType:
    path = looked_up(directory / where, "--model") if where.endswith(".py") else directory / where
    if where.endswith(".py") and not path.is_file():
        near = get_close_matches(path.name, [file.name for file in path.parent.glob("*.py")], n=1)
        hint = f"did you mean {near[0]}?" if near else "check the path before the colon"
        raise ModelError(f"there is no file {path}", hint=hint)
    try:
        return module_from(where, directory)
    except ModuleNotFoundError as error:
        raise ModelError(
            f"--model {where}: there is no module {error.name}",
            hint="install it, or name a file: path.py:callable",
        ) from error
    # sys.exit in a user's file would otherwise end the audit with an exit code that means something else.
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"{where} cannot be imported", details=[_message(error)], hint=place_of(error)
        ) from error


def _attribute(module: ModuleType, attribute: str, factory: str) -> Callable[[], object]:
    found = getattr(module, attribute, None)
    if not callable(found):
        callables = [name for name, value in vars(module).items() if callable(value) and name[0] != "_"]
        near = get_close_matches(attribute, callables, n=1, cutoff=0.5)
        raise ModelError(
            f"{factory}: {module.__name__.removeprefix('forgetaudit_user_')} has no callable {attribute}",
            hint=f"did you mean {near[0]}?" if near else "name a function that returns the model",
        )
    function: Callable[[], object] = found
    return function


def _call(function: Callable[[], object], factory: str) -> nn.Module:
    with contextlib.suppress(ValueError, TypeError):
        needed = [
            parameter.name
            for parameter in inspect.signature(function).parameters.values()
            if parameter.default is parameter.empty and parameter.kind not in _OPTIONAL
        ]
        if needed:
            raise ModelError(
                f"{factory} needs arguments: {', '.join(needed)}",
                hint="name a function that takes none, for example one that calls this one",
            )
    try:
        model = function()
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"{factory} raised an error", details=[_message(error)], hint=place_of(error)
        ) from error
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"{factory} returned a {type(model).__name__}, not an nn.Module",
            hint="return the network itself; its weights come from the checkpoints",
        )
    return model


_OPTIONAL = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _message(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
