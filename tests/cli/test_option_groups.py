"""One parameter stands for the options that commands share, and typer sees those."""

import inspect
from dataclasses import dataclass, replace
from typing import Annotated, Any

import pytest
import typer

from forgetaudit.cli.app import app_for
from forgetaudit.cli.option_groups import Only, Without, expand_groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    colour: Annotated[str, typer.Option("--colour", help="Of what.")] = "red"
    coats: Annotated[int, typer.Option("--coats")] = 2
    matt: Annotated[bool, typer.Option("--matt")] = False


def options_of(command: Any) -> list[str]:
    return list(inspect.signature(command).parameters)


def test_the_fields_stand_where_the_parameter_stood_and_come_back_as_one_value() -> None:
    seen = []

    @expand_groups
    def wall(height: int, width: int = 3, *, paint: Paint, dry: bool = False) -> None:
        """A wall."""
        seen.append((height, width, paint, dry))

    assert options_of(wall) == ["height", "width", "colour", "coats", "matt", "dry"]
    assert inspect.signature(wall).parameters["coats"].default == 2
    assert (wall.__name__, wall.__doc__) == ("wall", "A wall.")
    wall(height=1, width=2, colour="blue", coats=1, matt=True, dry=True)
    assert seen == [(1, 2, Paint(colour="blue", coats=1, matt=True), True)]


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (Without("coats"), ["colour", "matt"]),
        (Only("matt", "colour"), ["colour", "matt"]),
        (Only("coats"), ["coats"]),
    ],
)
def test_what_a_command_does_not_have_keeps_its_default(choice: Any, names: list[str]) -> None:
    seen = []

    def door(*, paint: Paint) -> None:
        seen.append(paint)

    door.__annotations__["paint"] = Annotated[Paint, choice]
    spelled = expand_groups(door)
    assert options_of(spelled) == names
    words: dict[str, Any] = dict.fromkeys(names, "typed")
    spelled(**words)
    assert seen == [replace(Paint(), **words)]


@pytest.mark.parametrize("choice", [Without("gloss"), Only("gloss", "coats")])
def test_a_misspelt_field_is_found_when_the_command_is_read(choice: Any) -> None:
    def door(*, paint: Paint) -> None: ...

    door.__annotations__["paint"] = Annotated[Paint, choice]
    with pytest.raises(TypeError, match="Paint has no gloss"):
        expand_groups(door)


@pytest.mark.parametrize(
    ("command", "has", "has_not"),
    [
        ("compare", {"preprocess", "rehearsal", "min_cka"}, set()),
        ("trace", {"layers", "no_samples", "no_fail"}, {"preprocess", "stop_early", "rehearsal"}),
        ("locate", {"parts", "hash_whole"}, {"layers", "max_drop", "no_fail", "examples"}),
        ("repair", {"max_drop", "confidence"}, {"no_fail", "min_samples", "hash_whole", "pool"}),
        ("weights", {"frozen", "more_steps"}, {"max_drop", "dry_run", "model"}),
        ("check", {"fail_when", "output"}, {"config", "dry_run"}),
    ],
)
def test_a_command_has_the_options_that_act_in_it(command: str, has: set[str], has_not: set[str]) -> None:
    read = typer.main.get_command(app_for([command])).commands[command]  # type: ignore[attr-defined]
    names = {str(parameter.name) for parameter in read.params}
    assert has <= names
    assert not has_not & names
