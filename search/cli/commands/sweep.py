"""`prunefront sweep`: the main command."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from search.cli.arguments import Address, Data, Overrides
from search.errors import input_is_checked
from search.terminal import say

# Imports inside the function save start-up time: `--help` loads neither torch nor Ray.


def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sweep file, see search/sweeps/.")],
    storage: Annotated[Path | None, typer.Option(help="The sweep's folder. [default: runs/<name>]")] = None,
    data: Data = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Replaces search.trials of the file.")] = None,
    tracking_uri: Annotated[str | None, typer.Option(help="Of MLflow. [default: SQLite in the sweep's folder]")] = None,
    address: Address = None,
    baselines: Annotated[
        Path | None, typer.Option(help="Where dense networks are kept. [default: beside the sweep's folder]")
    ] = None,
    warm_start: Annotated[
        Path | None, typer.Option(metavar="SWEEP", help="Try the front of that former sweep first.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show space, first proposals, resources and time; run nothing.")
    ] = False,
    overrides: Overrides = None,
) -> None:
    """Run a sweep, or go on with one that was interrupted or given a larger budget: the same command.

    Example: python -m search sweep search/sweeps/demo.toml --data data/mini --storage runs/demo
    """
    # Ray reads its environment while it is imported: it is set first.
    from search.driver.environment import prepare_ray

    prepare_ray(address)
    from search.config import load_config
    from search.storage import SweepStorage

    with input_is_checked():
        config = load_config(file, data=data, trials=trials, overrides=overrides or ())
        folder = SweepStorage(storage or Path("runs") / config.name)
        config = folder.with_sampler(config)
    from retrieval.text import need_text
    from search.results.next_steps import next_steps
    from search.sweep import Sweep
    from tracking.charts.terminal_tables import front_table
    from tracking.mlflow_runs.mlflow_client import default_tracking_uri

    uri = tracking_uri or default_tracking_uri(folder.path)
    console = Console()
    baselines_dir = baselines.resolve() if baselines else folder.path.parent / "baselines"
    with input_is_checked():
        need_text(baselines_dir, "baselines")
    if dry_run:
        from search.cli.dry_run import dry_run as show

        show(config, folder.path, baselines_dir, address, console, warm_start)
        return
    front = Sweep(
        config=config,
        storage=folder,
        baselines=baselines_dir,
        tracking_uri=uri,
        address=address,
        console=console,
        warm_start=warm_start,
    ).run()
    console.print(front_table(front))
    for line in next_steps(front, folder.path, uri):
        say(console, line)
