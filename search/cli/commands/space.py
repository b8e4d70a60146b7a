"""`prunefront space`: what a sweep may vary."""

from rich.console import Console

from search.cli.arguments import Data, Overrides, SweepFile
from search.errors import input_is_checked
from search.terminal import say

# Imports inside the function save start-up time: `--help` loads neither torch nor Ray.


def space(
    file: SweepFile,
    data: Data = None,
    overrides: Overrides = None,
) -> None:
    """Print every dimension that a sweep may vary, with its range and what it acts on.

    Example: python -m search space search/sweeps/demo.toml --data data/mini
    """
    from search.build import build_groups, build_space, lines_without_a_map
    from search.cli.space_table import space_summary, space_table
    from search.config import load_config

    console = Console()
    with input_is_checked():
        config = load_config(file, data=data, overrides=overrides or ())
        varied = build_space(config, build_groups(config))
    console.print(space_table(varied))
    for line in (*space_summary(varied), *lines_without_a_map(config, varied)):
        say(console, line)
