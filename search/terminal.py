"""Lines and progress bars on a terminal, written the same way by every command."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

# Called with how many steps are done, and of how many.
ShowProgress = Callable[[int, int], None]


def say(console: Console, line: str) -> None:
    """Print one line as it is: brackets are no markup, numbers are not coloured, a long line is not broken."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress_bar(console: Console, description: str, total: int | None = None) -> Iterator[ShowProgress]:
    """Show a bar that disappears at the end; outside a terminal nothing is shown.

    Args:
        console: where it is shown; lines printed to it meanwhile appear above the bar.
        description: what is being done, left of the bar.
        total: number of steps; None while it is not known.

    Yields:
        The function that moves the bar.
    """
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(description, total=total)
        yield lambda done, of: progress.update(task, completed=done, total=of)
