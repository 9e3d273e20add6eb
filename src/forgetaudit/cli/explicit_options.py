"""What a user typed of the options that a command has, so that what does not apply is refused by name."""

from collections.abc import Collection

import typer

__all__ = ["typed_options"]


def typed_options(context: typer.Context, names: Collection[str]) -> list[str]:
    """Those of `names` that were typed, as they are typed, in the command's order."""
    found = []
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        if parameter.name in names and source is not None and source.name == "COMMANDLINE":
            option = next((word for word in parameter.opts if word.startswith("--")), None)
            found.append(_spelling(option or str(parameter.name).upper(), context, str(parameter.name)))
    return found


def _spelling(word: str, context: typer.Context, name: str) -> str:
    """A switch that is on unless it is turned off was typed with --no."""
    return f"--no-{word[2:]}" if context.params.get(name) is False and word.startswith("--") else word
