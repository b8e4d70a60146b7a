"""What many tests share: a tiny benchmark on disk, a sweep file for it, and one trained dense network."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import torch

from retrieval.datasets.miniature.mini import MiniSettings, write_mini
from retrieval.runtime.latency import LatencySettings
from trainables.baseline import Baseline, need_baseline, train_baseline
from trainables.settings import (
    DataSettings,
    FinetuneSettings,
    NetworkSettings,
    TrainingSettings,
    TrialSettings,
)

# Ray's workers are nice to other processes (15), and would starve beside the tests of another process of this run.
os.environ.setdefault("RAY_worker_niceness", "0")
# Two tests' worth of torch threads on two cores are slower than one each.
torch.set_num_threads(1)

TINY_SWEEP = """
name = "tiny"

[data]
root = "{data}"
image_size = 64

[network]
name = "mini_resnet"
descriptor_size = 32

[dense]
epochs = 2
steps_per_epoch = 6
batch_size = 16
learning_rate = 3e-3

[finetune]
epochs = 2
steps_per_epoch = 2
batch_size = 16
learning_rate = 1e-3
recalibration_steps = 2

[latency]
image_size = 64
pairs = 25

[space]
preset = "filters"

[sensitivity]
enabled = false

[search]
trials = 4
"""


@pytest.fixture
def full_disk() -> Callable[..., AbstractContextManager[None]]:
    """`with full_disk(size)`: while it lasts no file of this process grows beyond so many bytes."""

    @contextmanager
    def full(size: int = 4096) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return full


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature benchmark, much smaller: 16 training places, 4 places a split."""
    out = tmp_path_factory.mktemp("data") / "tiny"
    settings = MiniSettings(training_places=16, views=6, places=4, distractors=8)
    write_mini(out, seed=0, settings=settings)
    return out


@pytest.fixture(scope="session")
def tiny_settings(tiny_data: Path) -> TrialSettings:
    return TrialSettings(
        data=DataSettings(root=tiny_data, image_size=64),
        network=NetworkSettings(name="mini_resnet", descriptor_size=32),
        dense=TrainingSettings(epochs=2, steps_per_epoch=6, batch_size=16, learning_rate=3e-3),
        finetune=FinetuneSettings(steps_per_epoch=2, batch_size=16, recalibration_steps=2),
        latency=LatencySettings(image_size=64, pairs=25),
    )


@pytest.fixture(scope="session")
def baselines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where dense networks are kept, for all tests of a run."""
    return tmp_path_factory.mktemp("baselines")


@pytest.fixture(scope="session")
def tiny_baseline(tiny_settings: TrialSettings, baselines: Path) -> Baseline:
    for _ in train_baseline(tiny_settings, baselines, torch.device("cpu")):
        pass
    return need_baseline(tiny_settings, baselines)


@pytest.fixture
def tiny_sweep(tmp_path: Path, tiny_data: Path) -> Path:
    """A sweep file for the tiny benchmark."""
    file = tmp_path / "tiny.toml"
    file.write_text(TINY_SWEEP.format(data=tiny_data))
    return file


@pytest.fixture(scope="session")
def prunefront():
    """The command line as a person runs it: in a process of its own, output captured."""

    def run(*words: object, timeout: float = 300) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "search", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    return run
