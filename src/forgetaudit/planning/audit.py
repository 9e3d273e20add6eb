"""What is compared, with which network and on which data, from words and the config."""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from forgetaudit.config import Config, find_config, read_config
from forgetaudit.data.arguments import parse_data
from forgetaudit.errors import ConfigError, UnreadableCheckpoint, UsageError
from forgetaudit.paths import looked_up
from forgetaudit.plan import AuditPlan, DataPlan, ModelPlan, Settings, utf8
from forgetaudit.policy import Policy
from forgetaudit.tasks.registry import find_task

__all__ = ["load_config", "plan_audit", "plan_task", "variant_names"]


def load_config(path: Path | None, *, ignore: bool) -> Config:
    """The named config, else the nearest, else an empty one."""
    here = Path.cwd()
    if ignore:
        if path is not None:
            raise UsageError("--config and --no-config contradict each other", hint="pass one of them")
        return Config(directory=here)
    found = path if path is not None else find_config(here)
    return Config(directory=here) if found is None else read_config(found)


def plan_audit(
    base: Path,
    tuned: Sequence[Path],
    data: Sequence[str],
    config: Config,
    *,
    model: str | Callable[[], Any] | None,
    settings: Settings,
    policy: Policy,
    input_column: str | None = None,
    label_column: str | None = None,
) -> AuditPlan:
    """A comparison of `base` with each of `tuned`, on `data` as `--data` names them."""
    return AuditPlan(
        base=base,
        tuned=tuple(tuned),
        names=variant_names(base, tuned),
        model=_plan_model(model, config),
        data=_plan_data(data, config, input_column=input_column, label_column=label_column),
        settings=settings,
        policy=policy,
        config=config.name,
    )


def _plan_model(option: str | Callable[[], Any] | None, config: Config) -> ModelPlan | None:
    """The option beats the config. A config may only name code of its own tree: it came with a folder."""
    if isinstance(option, str):
        return ModelPlan(factory=option, directory=Path.cwd(), evidence="--model")
    if callable(option):
        return ModelPlan(factory=option, directory=Path.cwd(), evidence="a function")
    if option is not None:
        raise UsageError(
            f"model={option!r} is neither a function nor a text",
            hint="pass a function that returns the network, or its name, as in digits.py:build",
        )
    if config.model is None or config.path is None:
        return None
    where = config.model.rpartition(":")[0]
    if not (
        _inside(config.directory / where, config.directory)
        if where.endswith(".py")
        else _module_inside(where.partition(".")[0], config.directory)
    ):
        raise ConfigError(
            f"{config.path.name}: model {config.model} lies outside the folder of the config",
            hint=f"if you trust it, pass --model {config.model}",
        )
    return ModelPlan(factory=config.model, directory=config.directory, evidence=config.path.name)


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _module_inside(package: str, folder: Path) -> bool:
    """Whether importing the top-level `package` would run code of `folder`, and not what is installed. Runs nothing."""
    before = list(sys.path)
    # As it is when the model is built.
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.find_spec(package) if package else None
    except (ImportError, ValueError):
        return False
    finally:
        sys.path[:] = before
    if spec is None:
        return False
    places = [Path(place) for place in spec.submodule_search_locations or ()]
    if spec.has_location and spec.origin is not None:
        places.append(Path(spec.origin))
    installed = {"site-packages", "dist-packages"}
    return bool(places) and all(_inside(p, folder) and not installed & set(p.parts) for p in places)


def _plan_data(
    texts: Sequence[str], config: Config, *, input_column: str | None, label_column: str | None
) -> tuple[DataPlan, ...]:
    """Each `--data`, resolved. Two of one name are refused: the report could not tell them apart."""
    if not texts and (input_column or label_column):
        raise UsageError("--input-column and --label-column need --data", hint="pass --data as well")
    plans = []
    for text in texts:
        found = parse_data(
            text, entries=config.data, directory=Path.cwd(), entries_directory=config.directory
        )
        plans.append(
            DataPlan(
                name=utf8(found.name),
                where=found.where,
                directory=found.directory,
                decision=utf8(found.decision),
                split=found.split,
                input_column=input_column or found.input_column,
                label_column=label_column or found.label_column,
            )
        )
    names = [plan.name for plan in plans]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"--data {twice[0]} was passed twice", hint=f"name them: --data first={twice[0]}")
    return tuple(plans)


def plan_task(name: str | None) -> str | None:
    """The task asked for, known before anything is opened; nothing is imported yet. UsageError naming those known."""
    return None if name is None else find_task(name).name


def variant_names(base: Path, tuned: Sequence[Path]) -> tuple[str, ...]:
    """`tuned` for one; for several their stems, with the folder where stems are alike. Paths must exist.

    All differ, and none is `base`: results are kept by name.
    """
    for path in (base, *tuned):
        looked_up(path)
        if not path.exists() and not path.is_symlink():
            raise _no_such_checkpoint(path)
    if len(tuned) == 1:
        return ("tuned",)
    whole = [path.absolute() for path in tuned]
    names = [utf8(path.stem if path.is_file() else path.name) for path in whole]
    if _ambiguous(names):
        names = [
            f"{utf8(path.parent.name)}/{name}".lstrip("/") for path, name in zip(whole, names, strict=True)
        ]
    if _ambiguous(names):
        names = [f"{name} ({number})" for number, name in enumerate(names, start=1)]
    return tuple(names)


def _ambiguous(names: Sequence[str]) -> bool:
    return len(set(names)) < len(names) or "base" in names or "" in names


def _no_such_checkpoint(path: Path) -> UnreadableCheckpoint:
    from difflib import get_close_matches

    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, sorted(beside), n=2)
    return UnreadableCheckpoint(
        f"there is no checkpoint {path}",
        hint=f"did you mean {' or '.join(near)}?" if near else "check the path",
    )
