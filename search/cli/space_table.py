"""The dimensions of a space as a table for the terminal."""

from collections import defaultdict

from rich.markup import escape
from rich.table import Table

from spaces.dimensions import Dimension, dimensions
from spaces.space import Space


def space_table(space: Space) -> Table:
    """Return a table of all dimensions in the order of their suggestion: range, what each acts on, its condition."""
    table = Table(title="the space", title_justify="left")
    for column in ("dimension", "range", "acts on", "only when"):
        table.add_column(column, overflow="fold")
    for dimension in dimensions(space):
        row = (dimension.name, show_range(dimension), dimension.acts_on, dimension.condition or "")
        table.add_row(*map(escape, row))
    return table


def space_summary(space: Space) -> list[str]:
    """Return lines that count dimensions and free groups, and say why the other groups keep all channels."""
    varied = dimensions(space)
    sometimes = sum(1 for dimension in varied if dimension.condition)
    only = f", {sometimes} of them in some trials only" if sometimes else ""
    whole = defaultdict(list)
    for group in space.groups:
        if reason := space.why_whole(group):
            whole[reason].append(group.id)
    return [
        f"{len(varied)} dimensions{only}; {len(space.free_groups)} of {len(space.groups)} groups may lose channels",
        *(f"whole: {', '.join(groups)}: {reason}" for reason, groups in whole.items()),
    ]


def show_range(dimension: Dimension) -> str:
    """Return the range of one dimension as a person reads it."""
    if dimension.kind == "choice":
        return ", ".join(map(str, dimension.choices))
    scale = ", logarithmic" if dimension.log else ""
    return f"{dimension.low:g} to {dimension.high:g}{scale}".replace("-", "−")
