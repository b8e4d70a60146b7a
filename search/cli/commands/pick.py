"""`prunefront pick`: one trial of a finished sweep, chosen under limits."""

import json
from typing import Annotated

import typer
from rich.console import Console

from search.cli.arguments import SweepFolder
from search.errors import input_is_checked

# Imports inside the function save start-up time: `--help` loads neither torch nor Ray.


def pick(
    sweep: SweepFolder,
    min_map: Annotated[float | None, typer.Option(help="mAP on the validation queries, a fraction.")] = None,
    min_quality: Annotated[float | None, typer.Option(help="The sweep's first objective, mAP or another.")] = None,
    min_speedup: Annotated[float | None, typer.Option(help="Over the dense network.")] = None,
    max_size_mb: Annotated[float | None, typer.Option(help="Weights' file, in 10^6 bytes.")] = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="As measured in the sweep.")] = None,
    ledger: Annotated[bool, typer.Option("--ledger", help="Show what each group was asked for and lost.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the choice as JSON.")] = False,
) -> None:
    """Choose a trial under limits, and say why; exits 1 and names the limit to loosen when none fits.

    Example: python -m search pick runs/demo --min-map 0.7
    """
    from search.results.next_steps import command
    from search.results.pick import Limit, describe
    from search.results.pick import pick as choose
    from tracking.charts.terminal_tables import ledger_table
    from tracking.front import read_front

    with input_is_checked():
        measured = read_front(sweep)
        asked = (
            ("--min-map", "map", min_map, 1.0),
            ("--min-quality", measured.quality, min_quality, 1.0),
            ("--min-speedup", "speedup", min_speedup, 1.0),
            ("--max-size-mb", "size_bytes", max_size_mb, 1e6),
            ("--max-latency-ms", "latency_ms", max_latency_ms, 1.0),
        )
        limits = [Limit(option, key, value * unit, unit) for option, key, value, unit in asked if value is not None]
        choice = choose(measured, limits)
    if as_json:
        runner_up = choice.runner_up.number if choice.runner_up else None
        point = choice.point.model_dump(mode="json")
        typer.echo(json.dumps({**point, "why": choice.why, "runner_up": runner_up}, indent=2))
        return
    typer.echo(f"{describe(choice.point, measured.objectives)}\n  why: {choice.why}")
    second = describe(choice.runner_up, measured.objectives) if choice.runner_up else "none within the limits"
    typer.echo(f"  runner-up: {second}")
    if ledger:
        Console().print(ledger_table(choice.point))
    typer.echo(f"export it: {command('export', str(sweep), str(choice.point.number), '--out', 'bundle')}")
