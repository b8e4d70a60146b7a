"""The front in the terminal."""

from rich.markup import escape
from rich.table import Table

from tracking.front import Front
from tracking.table import COLUMNS, front_rows


def front_table(front: Front) -> Table:
    """Return the dense network and below it the front by rising speedup, as a table for `rich`."""
    title = f"{escape(front.sweep)}: {len(front.members())} of {len(front.points)} trials on the front"
    table = Table(title=title, title_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "method" else "right", no_wrap=column == "trial")
    for index, row in enumerate(front_rows(front)):
        table.add_row(*map(escape, row), style="dim" if index == 0 else None, end_section=index == 0)
    return table
