"""Arguments and options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

SweepFile = Annotated[Path, typer.Argument(metavar="FILE", help="A sweep file.")]
SweepFolder = Annotated[Path, typer.Argument(metavar="SWEEP", help="The --storage folder of a sweep.")]
BundleFolder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A folder that export wrote.")]

Data = Annotated[Path | None, typer.Option(help="Replaces data.root of the file.")]
Baselines = Annotated[Path, typer.Option(help="Where dense networks are kept.")]
Address = Annotated[str | None, typer.Option(help="Of a Ray cluster. [default: a local Ray]")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replaces a key of the file, as dense.epochs=3; repeatable."),
]
"""For `search.config.load_config`, with `overrides or ()`."""
