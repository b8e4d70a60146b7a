"""`prunefront hello`: who started a sweep, and over which network."""

import typer

from search.cli.arguments import SweepFile
from search.errors import input_is_checked

# Imports inside the function save start-up time: `--help` loads neither torch nor Ray.


def hello(file: SweepFile, name: str = "you") -> None:
    """Greet someone, and name the network of a sweep file.

    Example: python -m search hello search/sweeps/demo.toml --name Ada
    """
    from search.config import load_config

    with input_is_checked():
        config = load_config(file)
    typer.echo(f"hello {name}, this is {config.network.name}")
