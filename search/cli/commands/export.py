"""`prunefront export`: the bundle of one trial."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.arguments import SweepFolder
from search.errors import FailedError, input_is_checked

# Imports inside the function save start-up time: `--help` loads neither torch nor Ray.


def export(
    sweep: SweepFolder,
    trial: Annotated[int, typer.Argument(metavar="TRIAL", help="Its number.")],
    out: Annotated[Path, typer.Option(help="A new folder for the bundle.")],
    baselines: Annotated[
        Path | None, typer.Option(help="Where the dense network lies, if it was moved since the sweep.")
    ] = None,
) -> None:
    """Write the bundle of one trial: ONNX, weights, plan, schedule, metrics, provenance, checksums.

    Example: python -m search export runs/demo 7 --out bundle
    """
    from search.results.export import export as write_bundle
    from search.results.export import find_source
    from search.results.next_steps import command
    from search.storage import SweepStorage

    with input_is_checked():
        source = find_source(SweepStorage(sweep), trial, out, baselines)
    try:
        bundle = write_bundle(source)
    except ValueError as error:
        raise FailedError(" ".join(str(error).split())) from error
    typer.echo(f"the bundle is in {bundle}; check it with: {command('verify', str(out))}")
