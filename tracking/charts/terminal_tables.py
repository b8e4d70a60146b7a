"""The front of a sweep, and the ledger of one trial, as tables in the terminal."""

from rich.markup import escape
from rich.table import Table

from tracking.charts.table import front_columns, front_rows
from tracking.front import Front, FrontPoint


def front_table(front: Front) -> Table:
    """Return the dense network and below it the front, the costliest (slowest) first, as a table for `rich`."""
    title = f"{escape(front.sweep)}: {len(front.members())} of {len(front.points)} trials on the front"
    table = Table(title=title, title_justify="left")
    for column in front_columns(front):
        table.add_column(column, justify="left" if column == "method" else "right", no_wrap=column == "trial")
    for index, row in enumerate(front_rows(front)):
        table.add_row(*map(escape, row), style="dim" if index == 0 else None, end_section=index == 0)
    return table


def ledger_table(point: FrontPoint) -> Table:
    """Return asked ratio, achieved width and multiply-adds saved of each group of a trial, as a table for `rich`."""
    table = Table(title=f"trial {point.number}, group by group", title_justify="left")
    bits = point.schedule.quantization
    columns = ("group", "channels", "asked ratio", "aligned", "achieved", "MACs saved", *(("bits",) if bits else ()))
    for column in columns:
        table.add_column(column, justify="left" if column == "group" else "right")
    total = sum(row.macs_saved for row in point.ledger)
    for row in point.ledger:
        widths = (str(row.width), f"{row.asked_ratio:.3f}", str(row.aligned_width), str(row.achieved_width))
        saved = f"{row.macs_saved:,} ({row.macs_saved / max(total, 1):.0%})"
        of_group = (str(bits.group_bits.get(row.group, bits.bits)),) if bits else ()
        table.add_row(escape(row.group), *widths, saved, *of_group)
    return table
