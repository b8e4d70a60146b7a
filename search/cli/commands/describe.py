"""`prunefront describe`: descriptors of a folder of images by a bundle's network."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from search.cli.arguments import BundleFolder
from search.errors import input_is_checked
from search.terminal import progress_bar

# Imports inside the function save start-up time: `--help` loads neither torch nor Ray.


def describe(
    bundle: BundleFolder,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Images, in folders of any depth.")],
    out: Annotated[Path, typer.Option(help="A new Parquet file.")],
    half: Annotated[bool, typer.Option("--half", help="Keep float16 numbers.")] = False,
    ignore_orientation: Annotated[
        bool, typer.Option("--ignore-orientation", help="Do not turn photographs upright by their EXIF orientation.")
    ] = False,
) -> None:
    """Describe every image of a folder by a bundle's network, to build an index from; interrupted, it goes on.

    Example: python -m search describe bundle data/mini/test/jpg --out descriptors.parquet
    """
    from retrieval.descriptors.store import Kind
    from search.results.describe import describe_folder, plan_description

    console = Console()
    with input_is_checked():
        kind: Kind = "float16" if half else "float32"
        job = plan_description(bundle, folder, out, kind, "ignore" if ignore_orientation else "apply")
        with progress_bar(console, "describing images", len(job.names)) as show:
            size = describe_folder(job, show)
    typer.echo(f"{len(job.names)} descriptors of {size} numbers are in {out}")
    if job.left_out:
        typer.echo(str(job.left_out))
