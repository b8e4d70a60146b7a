"""`prunefront train`: the dense network of a sweep, trained without Ray."""

from pathlib import Path

import typer

from search.cli.arguments import Baselines, Data, Overrides, SweepFile
from search.errors import failures_are_traced, input_is_checked

# Imports inside the function save start-up time: `--help` loads neither torch nor Ray.


def train(
    file: SweepFile,
    baselines: Baselines = Path("runs/baselines"),
    data: Data = None,
    overrides: Overrides = None,
) -> None:
    """Train the dense network of a sweep file here, without Ray; a sweep then finds it.

    Example: python -m search train search/sweeps/demo.toml --data data/mini
    """
    import torch

    from retrieval.networks.weights import published_weights
    from retrieval.text import need_text
    from search.build import check_trainable
    from search.config import load_config
    from search.data_check import check_ground_truth
    from trainables.baseline import find_baseline, need_baseline, train_baseline
    from trainables.data import check_images, open_data
    from trainables.threads import available_threads, use_threads

    baselines_dir = baselines.resolve()
    with input_is_checked():
        config = load_config(file, data=data, overrides=overrides or ())
        settings = config.trial_settings
        need_text(baselines_dir, "baselines")
        check_trainable(config)  # a network that cannot be pruned is not worth training
        data_sets = open_data(settings.data)
        for warning in check_ground_truth(data_sets):
            typer.echo(f"warning: {warning}")
        check_images(data_sets.images)
        baseline = find_baseline(settings, baselines_dir)
        if baseline is None and settings.network.weights == "imagenet":
            published_weights(settings.network.name)
    if baseline is None:
        use_threads(available_threads())
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        with failures_are_traced("training the dense network", baselines_dir):
            for point in train_baseline(settings, baselines_dir, device):
                typer.echo(f"epoch {point.epoch}: loss {point.loss:.3f}, mAP {point.map:.4f}, {point.seconds:.1f} s")
        baseline = need_baseline(settings, baselines_dir)
    typer.echo(f"the dense network is in {baseline.folder}")
