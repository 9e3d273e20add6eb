"""The config file: found upwards, read strictly, refused with the nearest known key."""

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from forgetaudit.config.rules import read_rules
from forgetaudit.config.waivers import read_waivers
from forgetaudit.errors import ConfigError, UsageError
from forgetaudit.paths import read_text
from forgetaudit.policy import MOST_EXAMPLES, FailWhen, OnInconclusive, Policy

__all__ = ["CONFIG_NAME", "Config", "DataSection", "find_config", "read_config"]

CONFIG_NAME = "forgetaudit.toml"


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )


class DataSection(_Section):
    """[data.NAME]: what `--data NAME` means, and what overrules the detection."""

    path: str
    split: str | None = None
    input: str | None = None
    label: str | None = None


class GateSection(_Section):
    """[gate]: how sure a verdict has to be, its rules, and what is waived of them."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    min_samples: int = Field(default=200, ge=2, le=MOST_EXAMPLES)
    fail_when: Literal["likely", "proven"] = "likely"
    on_inconclusive: Literal["warn", "fail", "pass"] = "warn"
    family_wise: bool = False
    rules: dict[str, Any] = Field(default_factory=dict)
    waivers: list[dict[str, Any]] = Field(default_factory=list)


class _File(_Section):
    model: str | None = None
    data: dict[str, DataSection] = Field(default_factory=dict)
    gate: GateSection = Field(default_factory=GateSection)


class Config(BaseModel):
    """A config that was read; `path` is None where there is none. Its paths are relative to `directory`."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    path: Path | None = None
    directory: Path
    model: str | None = None
    data: Mapping[str, DataSection] = Field(default_factory=dict)
    policy: Policy = Policy()

    @property
    def name(self) -> str | None:
        """The file's name, for a report."""
        return None if self.path is None else self.path.name

    @property
    def files(self) -> tuple[Path, ...]:
        """The file that was read, if one was."""
        return () if self.path is None else (self.path,)


def find_config(start: Path) -> Path | None:
    """The nearest config from `start` up to the repository's root; a pyproject.toml needs our table."""
    for folder in [start, *start.parents]:
        if (folder / CONFIG_NAME).is_file():
            return folder / CONFIG_NAME
        if (folder / "pyproject.toml").is_file() and _our_table(folder / "pyproject.toml") is not None:
            return folder / "pyproject.toml"
        if (folder / ".git").exists():
            return None
    return None


def read_config(path: Path) -> Config:
    """The config in `path`; ConfigError for bad TOML, unknown keys (with the nearest known), bad values."""
    table = _our_table(path) if path.name == "pyproject.toml" else _toml(path)
    if table is None:
        raise ConfigError(f"{path} has no table [tool.forgetaudit]", hint=f"write {CONFIG_NAME} instead")
    try:
        file = _File.model_validate(table)
    except ValidationError as error:
        raise _refusal(path, error) from None
    return Config(
        path=path,
        directory=path.parent,
        model=file.model,
        data=file.data,
        policy=_policy(file.gate, path),
    )


def _toml(path: Path) -> dict[str, Any]:
    try:
        text = read_text(path, "the config")
    except UsageError as error:
        hint = error.hint if path.exists() else "check --config"
        raise ConfigError(error.fact, details=error.details, hint=hint) from None
    try:
        return tomllib.loads(text)
    # Also a number of more digits than Python reads, and lists in lists without end.
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path} is not valid TOML", details=[str(error)], hint="correct that line, or pass --no-config"
        ) from error


def _our_table(pyproject: Path) -> dict[str, Any] | None:
    tool = _toml(pyproject).get("tool", {})
    table = tool.get("forgetaudit") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else None


def _refusal(path: Path, error: ValidationError) -> ConfigError:
    """One ConfigError for all that is wrong; for a misspelt key, the nearest known one."""
    details, near = [], []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        if problem["type"] != "extra_forbidden":
            details.append(f"{where}: {problem['msg'].lower()}, not {problem['input']!r}")
            continue
        details.append(f"unknown key {where}")
        near += get_close_matches(str(problem["loc"][-1]), _known_keys(problem["loc"]), n=1)
    known = f"did you mean {' and '.join(near)}?" if near else "see the section on the config in the README"
    return ConfigError(f"{path.name} cannot be used", details=details, hint=known)


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    match location:
        case ("data", _, _):
            section: type[_Section] = DataSection
        case ("gate", _):
            section = GateSection
        case _:
            section = _File
    return [field.alias or name for name, field in section.model_fields.items()]


def _policy(gate: GateSection, path: Path) -> Policy:
    rules = read_rules(gate.rules, path.name)
    return Policy(
        rules=rules,
        waivers=read_waivers(gate.waivers, rules, path.name),
        confidence=gate.confidence,
        min_samples=gate.min_samples,
        fail_when=FailWhen(gate.fail_when),
        on_inconclusive=OnInconclusive(gate.on_inconclusive),
        family_wise=gate.family_wise,
        source=path.name,
    )
