"""`prunefront front`: the front of a finished sweep."""

import typer
from rich.console import Console

from search.cli.arguments import SweepFolder
from search.errors import input_is_checked
from search.terminal import say

# Imports inside the function save start-up time: `--help` loads neither torch nor Ray.


def front(sweep: SweepFolder) -> None:
    """Print the front of a finished sweep.

    Example: python -m search front runs/demo
    """
    from tracking.charts.terminal_tables import front_table
    from tracking.front import read_front

    with input_is_checked():
        measured = read_front(sweep)
    console = Console()
    console.print(front_table(measured))
    for note in measured.notes:
        say(console, f"note: {note}")
    typer.echo(f"as a page: {sweep / 'front.html'}")
