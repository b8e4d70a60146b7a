"""`prunefront verify`: whether a bundle still does what it did."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.arguments import BundleFolder

# Imports inside the function save start-up time: `--help` loads neither torch nor Ray.


def verify(
    bundle: BundleFolder,
    data: Annotated[Path | None, typer.Option(help="The data set, if it has moved since the export.")] = None,
) -> None:
    """Check a bundle from its files alone: checksums, ONNX Runtime against torch, and the test mAP again.

    Example: python -m search verify bundle
    """
    from search.results.verify import verify as checks_of

    for check in checks_of(bundle, data):
        typer.echo(f"ok  {check.name}: {check.figures}")
