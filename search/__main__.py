"""The command line: `python -m search VERB`, also installed as `prunefront`.

Exits 0 on success, 2 with one line on bad input, 1 on failure.
"""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from search.cli.package_check import check_names
from search.errors import GO_ON, BadInputError, FailedError, input_is_checked

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Search how to compress an image-retrieval network: speedup against mAP.",
)

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replaces a key of the file, as dense.epochs=3; repeatable."),
]
SweepFolder = Annotated[Path, typer.Argument(metavar="SWEEP", help="The --storage folder of a sweep.")]
_INTERRUPTED = 130  # how a shell shows Ctrl-C


# Imports are made inside the verbs: `--help` and a typing error answer at once, without loading torch and Ray.


@app.command()
def mini(
    out: Annotated[Path, typer.Option(help="A new folder; one with the same benchmark is left as it is.")],
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same pixels.")] = 0,
    format: Annotated[
        str,
        typer.Option(
            help="How the images lie on disk: mini, or as a published set: oxford5k, paris6k, oxford105k, paris106k, "
            "roxford5k, rparis6k, market1501, pitts30k, pitts250k, tokyo247, utm, sfm, folders, manifest."
        ),
    ] = "mini",
) -> None:
    """Write the miniature benchmark: drawn places, as a data root that a sweep can use.

    Example: python -m search mini --out data/mini --seed 0
    """
    from retrieval.datasets.miniature.mini import write_mini

    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("drawing the miniature benchmark", total=None)
        try:
            write_mini(
                out,
                seed=seed,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
                format=format,
            )
        except ValueError as error:
            raise BadInputError(str(error)) from error
        except OSError as error:
            raise FailedError(f"{out} cannot be written ({error.strerror}); nothing of it is left") from error
    console.print(f"the miniature benchmark ({format}, seed {seed}) is in {out}", highlight=False, soft_wrap=True)


@app.command("check-data")
def check_data(folder: Annotated[Path, typer.Argument(metavar="DIR")]) -> None:
    """Name the format of each data set in DIR, count what it holds, and list every file that is missing or unreadable.

    Exits 2 when there is such a file, or a data set that its loader refuses.

    Example: python -m search check-data data/mini
    """
    from retrieval.datasets.check import describe_data
    from trainables.threads import available_threads

    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress, input_is_checked():
        task = progress.add_task("reading every image once", total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        for line in describe_data(folder, show, threads=available_threads()):
            console.print(line, markup=False, highlight=False, soft_wrap=True)


@app.command()
def train(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sweep file.")],
    baselines: Annotated[Path, typer.Option(help="Where dense networks are kept.")] = Path("runs/baselines"),
    data: Annotated[Path | None, typer.Option(help="Replaces data.root of the file.")] = None,
    overrides: Overrides = None,
) -> None:
    """Train the dense network of a sweep file here, without Ray; a sweep then finds it.

    Example: python -m search train search/sweeps/demo.toml --data data/mini
    """
    import torch

    from retrieval.networks.weights import published_weights
    from search.config import load_config
    from trainables.baseline import dense_groups, find_baseline, need_baseline, train_baseline
    from trainables.data import check_images, open_data
    from trainables.threads import available_threads, use_threads

    baselines_dir = baselines.resolve()
    with input_is_checked():
        settings = load_config(file, data=data, overrides=overrides or ()).trial_settings
        dense_groups(settings)  # a network that cannot be pruned is not worth training
        check_images(open_data(settings.data).images)
        found = find_baseline(settings, baselines_dir)
        if found is None and settings.network.weights == "imagenet":
            published_weights(settings.network.name)
    if found is None:
        use_threads(available_threads())
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        for point in train_baseline(settings, baselines_dir, device):
            typer.echo(f"epoch {point.epoch}: loss {point.loss:.3f}, mAP {point.map:.4f}, {point.seconds:.1f} s")
        found = need_baseline(settings, baselines_dir)
    typer.echo(f"the dense network is in {found.folder}")


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sweep file, see search/sweeps/.")],
    storage: Annotated[Path | None, typer.Option(help="The sweep's folder. [default: runs/<name>]")] = None,
    data: Annotated[Path | None, typer.Option(help="Replaces data.root of the file.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Replaces search.trials of the file.")] = None,
    tracking_uri: Annotated[str | None, typer.Option(help="Of MLflow. [default: SQLite in the sweep's folder]")] = None,
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster. [default: a local Ray]")] = None,
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
    from search.driver.environment import prepare_ray

    prepare_ray(address)
    from search.config import load_config
    from search.storage import SweepStorage

    with input_is_checked():
        config = load_config(file, data=data, trials=trials, overrides=overrides or ())
        place = SweepStorage(storage or Path("runs") / config.name)
    from search.results.next_steps import next_steps
    from search.sweep import Sweep
    from tracking.charts.terminal_tables import front_table
    from tracking.mlflow_runs.mlflow_client import default_tracking_uri

    uri = tracking_uri or default_tracking_uri(place.path)
    console = Console()
    baselines_dir = baselines.resolve() if baselines else place.path.parent / "baselines"
    if dry_run:
        from search.cli.dry_run import dry_run as show

        show(config, place.path, baselines_dir, address, console, warm_start)
        return
    front = Sweep(config, place, baselines_dir, uri, address, console, warm_start).run()
    console.print(front_table(front))
    for line in next_steps(front, place.path, uri):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@app.command()
def space(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sweep file.")],
    data: Annotated[Path | None, typer.Option(help="Replaces data.root of the file.")] = None,
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
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@app.command()
def sensitivity(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sweep file.")],
    out: Annotated[Path, typer.Option(help="Folder for sensitivity.html, .png and .json.")],
    data: Annotated[Path | None, typer.Option(help="Replaces data.root of the file.")] = None,
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster. [default: a local Ray]")] = None,
    baselines: Annotated[Path, typer.Option(help="Where dense networks are kept.")] = Path("runs/baselines"),
    overrides: Overrides = None,
) -> None:
    """Cut each group of channels alone, train nothing, and show what that costs: which groups can spare channels.

    The dense network must be trained (`train FILE`, or a sweep before). Interrupted, the same command goes on.

    Example: python -m search sensitivity search/sweeps/demo.toml --data data/mini --out runs/sensitivity
    """
    from search.driver.environment import prepare_ray

    prepare_ray(address)
    from search.build import build_groups, build_space
    from search.config import load_config
    from search.driver.cluster import connected, trial_slots_for
    from search.sensitivity import draw_map
    from trainables.baseline import find_baseline

    console = Console()
    with input_is_checked():
        config = load_config(file, data=data, overrides=overrides or ())
        space = build_space(config, build_groups(config))
        if find_baseline(config.trial_settings, baselines.resolve()) is None:
            raise ValueError(f"the dense network of {file} is not in {baselines}: `train {file}` trains it")
    with input_is_checked(), connected(address):
        trial_slots_for(config.resources)
        draw_map(config, space, baselines.resolve(), out, console)


@app.command()
def front(sweep: SweepFolder) -> None:
    """Print the front of a finished sweep.

    Example: python -m search front runs/demo
    """
    from tracking.charts.terminal_tables import front_table
    from tracking.front import read_front

    with input_is_checked():
        found = read_front(sweep)
    Console().print(front_table(found))
    typer.echo(f"as a page: {sweep / 'front.html'}")


@app.command()
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
        found = read_front(sweep)
        asked = (
            ("--min-map", "map", min_map, 1.0),
            ("--min-quality", found.quality, min_quality, 1.0),
            ("--min-speedup", "speedup", min_speedup, 1.0),
            ("--max-size-mb", "size_bytes", max_size_mb, 1e6),
            ("--max-latency-ms", "latency_ms", max_latency_ms, 1.0),
        )
        limits = [Limit(option, key, value * unit, unit) for option, key, value, unit in asked if value is not None]
        choice = choose(found, limits)
    if as_json:
        runner_up = choice.runner_up.number if choice.runner_up else None
        point = choice.point.model_dump(mode="json")
        typer.echo(json.dumps({**point, "why": choice.why, "runner_up": runner_up}, indent=2))
        return
    typer.echo(f"{describe(choice.point, found.objectives)}\n  why: {choice.why}")
    second = describe(choice.runner_up, found.objectives) if choice.runner_up else "none within the limits"
    typer.echo(f"  runner-up: {second}")
    if ledger:
        Console().print(ledger_table(choice.point))
    typer.echo(f"export it: {command('export', str(sweep), str(choice.point.number), '--out', 'bundle')}")


@app.command()
def export(
    sweep: SweepFolder,
    trial: Annotated[int, typer.Argument(metavar="TRIAL", help="Its number.")],
    out: Annotated[Path, typer.Option(help="A new folder for the bundle.")],
    baselines: Annotated[
        Path | None, typer.Option(help="Where the dense network lies, if it was moved since the sweep.")
    ] = None,
) -> None:
    """Write the bundle of one trial: ONNX, weights, plan, schedule, metrics, provenance, checksums.

    Example: python -m search export runs/demo 7 --out bundle
    """
    from search.results.export import export as write_bundle
    from search.results.export import find_source
    from search.results.next_steps import command
    from search.storage import SweepStorage

    with input_is_checked():
        source = find_source(SweepStorage(sweep), trial, out, baselines)
    try:
        bundle = write_bundle(source)
    except ValueError as error:
        raise FailedError(" ".join(str(error).split())) from error
    typer.echo(f"the bundle is in {bundle}; check it with: {command('verify', str(out))}")


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A folder that export wrote.")],
    data: Annotated[Path | None, typer.Option(help="The data set, if it has moved since the export.")] = None,
) -> None:
    """Check a bundle from its files alone: checksums, ONNX Runtime against torch, and the test mAP again.

    Example: python -m search verify bundle
    """
    from search.results.verify import verify as checks_of

    for check in checks_of(bundle, data):
        typer.echo(f"ok  {check.name}: {check.figures}")


@app.command()
def describe(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A folder that export wrote.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Images, in folders of any depth.")],
    out: Annotated[Path, typer.Option(help="A new Parquet file.")],
    half: Annotated[bool, typer.Option("--half", help="Keep float16 numbers.")] = False,
) -> None:
    """Describe every image of a folder by a bundle's network, to build an index from; interrupted, it goes on.

    Example: python -m search describe bundle data/mini/test/jpg --out descriptors.parquet
    """
    from search.results.describe import describe_folder, plan_description

    console = Console()
    with input_is_checked():
        job = plan_description(bundle, folder, out, "float16" if half else "float32")
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("describing images", total=len(job.names))
            size = describe_folder(job, lambda done, total: progress.update(task, completed=done, total=total))
    typer.echo(f"{len(job.names)} descriptors of {size} numbers are in {out}")


def main() -> None:
    """Entry point of the installed command."""
    try:
        check_names()
        app()
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            _end(f"interrupted; of a sweep, {GO_ON}", _INTERRUPTED)
        raise
    except BadInputError as error:
        _end(str(error), 2)
    except (FailedError, OSError) as error:
        # A full disk, a lost mount: the machine's fault, and its own words are the clearest.
        _end(str(error), 1)


def _end(message: str, status: int) -> None:
    typer.echo(f"error: {message}", err=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
