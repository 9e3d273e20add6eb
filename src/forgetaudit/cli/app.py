"""The table of commands."""

from typing import Annotated

import typer

from forgetaudit import __version__
from forgetaudit.cli.bless import bless
from forgetaudit.cli.check import check
from forgetaudit.cli.compare import compare
from forgetaudit.cli.doctor import doctor
from forgetaudit.cli.init import init
from forgetaudit.cli.inspect import inspect
from forgetaudit.cli.locate import locate
from forgetaudit.cli.plan_examples import plan
from forgetaudit.cli.repair import repair
from forgetaudit.cli.show import show
from forgetaudit.cli.trace import trace
from forgetaudit.cli.weights import weights

__all__ = ["app"]

app = typer.Typer(
    name="forgetaudit",
    add_completion=True,
    # Our own errors, and the exit codes of main(), instead of a boxed traceback and code 1.
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"forgetaudit {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and stop."),
    ] = False,
) -> None:
    """Audits forgetting in checkpoints: what a fine-tune forgot, where it sits, and whether it is real."""


app.command()(compare)
app.command()(weights)
app.command()(trace)
app.command()(locate)
app.command()(repair)
app.command()(show)
app.command()(check)
app.command()(bless)
app.command()(plan)
app.command()(init)
app.command()(inspect)
app.command()(doctor)
