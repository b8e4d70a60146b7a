"""`prunefront sensitivity`: the sensitivity map of a network, without a sweep."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from search.cli.arguments import Address, Baselines, Data, Overrides, SweepFile
from search.errors import input_is_checked

# Imports inside the function save start-up time: `--help` loads neither torch nor Ray.


def sensitivity(
    file: SweepFile,
    out: Annotated[Path, typer.Option(help="Folder for sensitivity.html, .png and .json.")],
    data: Data = None,
    address: Address = None,
    baselines: Baselines = Path("runs/baselines"),
    overrides: Overrides = None,
) -> None:
    """Cut each group of channels alone, train nothing, and show what that costs: which groups can spare channels.

    The dense network must be trained (`train FILE`, or a sweep before). Interrupted, the same command goes on.

    Example: python -m search sensitivity search/sweeps/demo.toml --data data/mini --out runs/sensitivity
    """
    from search.driver.environment import prepare_ray

    prepare_ray(address)
    from search.build import build_space, check_trainable
    from search.config import load_config
    from search.driver.cluster import connected, trial_slots_for
    from search.sensitivity import draw_map
    from trainables.baseline import find_baseline

    console = Console()
    with input_is_checked():
        config = load_config(file, data=data, overrides=overrides or ())
        space = build_space(config, check_trainable(config))
        if find_baseline(config.trial_settings, baselines.resolve()) is None:
            raise ValueError(f"the dense network of {file} is not in {baselines}: `train {file}` trains it")
    with input_is_checked(), connected(address):
        trial_slots_for(config.resources)
        draw_map(config, space, baselines.resolve(), out, console)
