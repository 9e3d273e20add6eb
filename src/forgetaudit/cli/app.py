"""The table of commands. One that is named is imported alone: most of what a quick one costs is importing others."""

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from forgetaudit import __version__

__all__ = ["app_for"]

# In the order of the help. The function has the command's name.
_COMMANDS = {
    "compare": "forgetaudit.cli.compare",
    "weights": "forgetaudit.cli.weights",
    "trace": "forgetaudit.cli.trace",
    "locate": "forgetaudit.cli.locate",
    "repair": "forgetaudit.cli.repair",
    "show": "forgetaudit.cli.show",
    "check": "forgetaudit.cli.check",
    "bless": "forgetaudit.cli.bless",
    "plan": "forgetaudit.cli.sample_size",
    "init": "forgetaudit.cli.init",
    "inspect": "forgetaudit.cli.inspect",
    "doctor": "forgetaudit.cli.doctor",
}


def app_for(words: Sequence[str]) -> typer.Typer:
    """The program, with the command that `words` begin with; with all of them where that is none."""
    app = typer.Typer(
        name="forgetaudit",
        add_completion=True,
        # Our own errors, and the exit codes of main(), instead of a boxed traceback and code 1.
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    app.callback()(_root)
    named = [name for name in words[:1] if name in _COMMANDS]
    for name in named or _COMMANDS:
        app.command(name)(getattr(import_module(_COMMANDS[name]), name))
    return app


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"forgetaudit {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and stop."),
    ] = False,
) -> None:
    """Audits forgetting in checkpoints: what a fine-tune forgot, where it sits, and whether it is real."""
