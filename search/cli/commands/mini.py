"""`prunefront mini`: the miniature benchmark."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from search.errors import BadInputError, FailedError
from search.terminal import progress_bar, say

# Imports inside the function save start-up time: `--help` loads neither torch nor Ray.


def mini(
    out: Annotated[Path, typer.Option(help="A new folder; one with the same benchmark is left as it is.")],
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same pixels.")] = 0,
    format: Annotated[
        str,
        typer.Option(
            help="How the images lie on disk: mini, or as a published set: oxford5k, paris6k, oxford105k, paris106k, "
            "roxford5k, rparis6k, market1501, pitts30k, pitts250k, tokyo247, utm, sfm, folders, manifest."
        ),
    ] = "mini",
) -> None:
    """Write the miniature benchmark: drawn places, as a data root that a sweep can use.

    Example: python -m search mini --out data/mini --seed 0
    """
    from retrieval.datasets.miniature.mini import write_mini

    console = Console()
    with progress_bar(console, "drawing the miniature benchmark") as show:
        try:
            write_mini(out, seed=seed, progress=show, format=format)
        except ValueError as error:
            raise BadInputError(str(error)) from error
        except OSError as error:
            raise FailedError(f"{out} cannot be written ({error.strerror}); nothing of it is left") from error
    say(console, f"the miniature benchmark ({format}, seed {seed}) is in {out}")
