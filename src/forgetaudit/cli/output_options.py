"""What is read beside the words, and what is said and written: each option once, in the order of the help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from forgetaudit import planning
from forgetaudit.cli.outputs import OutputRequest, parse_outputs
from forgetaudit.config import Config

__all__ = ["OutputOptions"]

_PANEL = "Output"

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Read this config instead of the nearest one.")
]
NoConfig = Annotated[bool, typer.Option("--no-config", help="Read no config.")]
Output = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        metavar="FORMAT=PATH",
        help="Write the report, too: json, txt, md, html, junit, github or csv. Repeatable.",
        rich_help_panel=_PANEL,
    ),
]
Examples = Annotated[
    Path | None,
    typer.Option(
        "--examples",
        metavar="FILE.parquet",
        help="Write what became of every example.",
        rich_help_panel=_PANEL,
    ),
]
Rehearsal = Annotated[
    Path | None,
    typer.Option(
        "--rehearsal",
        metavar="DIR",
        help="Write the forgotten examples as a data set, to be mixed into the next training.",
        rich_help_panel=_PANEL,
    ),
]
NoSamples = Annotated[
    bool,
    typer.Option(
        "--no-samples", help="No texts or pictures of examples in the report.", rich_help_panel=_PANEL
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="The verdict line only.", rich_help_panel=_PANEL)]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Also say every decision taken.", rich_help_panel=_PANEL)
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be read and run, and stop.", rich_help_panel=_PANEL)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """Which config is read, where the report goes, and how much is said."""

    config: ConfigFile = None
    no_config: NoConfig = False
    output: Output = None
    examples: Examples = None
    rehearsal: Rehearsal = None
    no_samples: NoSamples = False
    quiet: Quiet = False
    verbose: Verbose = False
    dry_run: DryRun = False

    def requests(self) -> tuple[OutputRequest, ...]:
        """The reports asked for. Refused here, before hours of work, if they could not be written in the end."""
        return parse_outputs(self.output or ())

    def settled(self) -> Config:
        """The config that is read, an empty one where there is none."""
        return planning.load_config(self.config, ignore=self.no_config)
