"""`prunefront check-data`: what data sets hold, what is wrong with them, and what a sweep does with them."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from search.cli.arguments import Data, Overrides
from search.errors import input_is_checked
from search.terminal import progress_bar, say

# Imports inside the function save start-up time: `--help` loads neither torch nor Ray.


def check_data(
    what: Annotated[Path, typer.Argument(metavar="DIR|FILE", help="A folder with data sets, or a sweep file.")],
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for a program.")] = False,
    headers_only: Annotated[
        bool, typer.Option("--headers-only", help="Read no pixels: quick, but damage behind a header is not seen.")
    ] = False,
    show_batch: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw queries with their boxes and answers, as the network sees them."),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Count what data sets hold, and name all that is doubtful or wrong with them before a sweep trains on them.

    Of a folder every data set in it is checked; of a sweep file those that its [data] names, with their roles. Exits 2
    when a set cannot be used: its ground truth cannot tell networks apart, a query's box leaves its image, a file is
    missing or unreadable, or its loader refuses it.

    Example: python -m search check-data data/mini
    """
    from retrieval.datasets.checks.check_sets import check_sets
    from retrieval.datasets.checks.contact_sheet import draw_sheet
    from retrieval.datasets.checks.find_sets import open_all
    from search.cli.data_page import as_json as to_json
    from search.cli.data_page import show_data
    from search.config import load_config
    from trainables.data import open_sources
    from trainables.threads import available_threads

    # What a program reads is not mixed with what a person sees.
    console = Console(file=sys.stderr if as_json else sys.stdout)
    with input_is_checked():
        config = load_config(what, data=data, overrides=overrides or ()) if what.suffix == ".toml" else None
        sets = open_all(what) if config is None else open_sources(config.data)
        bars = partial(progress_bar, console)
        check = check_sets(sets, bars, threads=available_threads(), decode=not headers_only)
        if config is not None and not check.errors:
            from search.build import check_trainable  # only here, for start-up: it loads Optuna

            try:
                check_trainable(config)
            except ValueError as error:
                check.add_error("sweep whose network cannot take its images", str(error))
        if as_json:
            sys.stdout.write(to_json(check) + "\n")
        else:
            show_data(console, check)
        if show_batch is not None:
            size = None if config is None else config.data.image_size
            draw_sheet([each.opened for each in sets], size, show_batch)
            say(console, f"queries and their answers are drawn in {show_batch}")
        if check.errors:
            raise ValueError(f"{what}: {check.summary}; named above")
        if not as_json:
            how = "headers read: all are sound so far" if headers_only else "images read: all are sound"
            say(console, f"{check.images} {how}")
