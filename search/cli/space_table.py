"""What a sweep may vary, as a table for the terminal."""

from collections import defaultdict

from rich.markup import escape
from rich.table import Table

from spaces.dimensions import Dimension, dimensions
from spaces.space import Space


def space_table(space: Space) -> Table:
    """Every dimension, in the order in which it is asked for: its range, what it acts on, and when it is there."""
    table = Table(title="the space", title_justify="left")
    for column in ("dimension", "range", "acts on", "only when"):
        table.add_column(column, overflow="fold")
    for dimension in dimensions(space):
        row = (dimension.name, show_range(dimension), dimension.acts_on, dimension.condition or "")
        table.add_row(*map(escape, row))
    return table


def space_summary(space: Space) -> list[str]:
    """Lines below the table: how many dimensions and free groups there are, and why other groups keep all channels."""
    found = dimensions(space)
    sometimes = sum(1 for dimension in found if dimension.condition)
    only = f", {sometimes} of them in some trials only" if sometimes else ""
    whole = defaultdict(list)
    for group in space.groups:
        if reason := space.why_whole(group):
            whole[reason].append(group.id)
    return [
        f"{len(found)} dimensions{only}; {len(space.free_groups)} of {len(space.groups)} groups may lose channels",
        *(f"whole: {', '.join(groups)}: {reason}" for reason, groups in whole.items()),
    ]


def show_range(dimension: Dimension) -> str:
    """The range of one dimension, as a person reads it."""
    if dimension.kind == "choice":
        return ", ".join(map(str, dimension.choices))
    scale = ", logarithmic" if dimension.log else ""
    return f"{dimension.low:g} to {dimension.high:g}{scale}".replace("-", "−")
