"""`prunefront check-data`: what the data sets of a folder hold, and which of their files are damaged."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from search.errors import input_is_checked
from search.terminal import progress_bar, say

# Imports inside the function save start-up time: `--help` loads neither torch nor Ray.


def check_data(folder: Annotated[Path, typer.Argument(metavar="DIR")]) -> None:
    """Name the format of each data set in DIR, count what it holds, and list every file that is missing or unreadable.

    Exits 2 when there is such a file, or a data set that its loader refuses.

    Example: python -m search check-data data/mini
    """
    from retrieval.datasets.check import describe_data
    from trainables.threads import available_threads

    console = Console()
    with progress_bar(console, "reading every image once") as show, input_is_checked():
        for line in describe_data(folder, show, threads=available_threads()):
            say(console, line)
