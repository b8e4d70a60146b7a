"""The page that `check-data` prints: a table of counts, warnings, errors, and what a sweep does with the sets."""

import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from retrieval.datasets.checks.check_sets import DataCheck
from search.terminal import say


def show_data(console: Console, check: DataCheck) -> None:
    """Print a check for a person."""
    console.print(_counts_table(check))
    for row in check.sets:
        if row.left_out:
            say(console, f"{row.name}: {row.left_out}")
    for warning in check.warnings:
        say(console, f"warning: {warning}")
    for lines in check.errors.values():
        for line in lines:
            say(console, f"error: {line}")
    say(console, "what a sweep does with it:")
    for row in check.sets:
        say(console, f"  {row.name} ({row.title}): {row.treatment}")


def as_json(check: DataCheck) -> str:
    """Return a check as one JSON object for a program."""
    return json.dumps(asdict(check), indent=2, ensure_ascii=False)


def _counts_table(check: DataCheck) -> Table:
    table = Table(title=f"{check.images} image files in {len(check.sets)} sets")
    table.add_column("set", overflow="fold")
    counted = list(dict.fromkeys(noun for row in check.sets for noun in row.counts))
    for noun in counted:
        table.add_column(noun, justify="right")
    for row in check.sets:
        numbers = [str(row.counts.get(noun, "")) for noun in counted]
        # Names on disk may hold what rich takes for markup.
        table.add_row(Text(row.name), *numbers)
    return table
