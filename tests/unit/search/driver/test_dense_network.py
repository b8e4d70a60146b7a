"""The dense network of a sweep: made by tasks of a real Ray, and nothing of it twice."""

import io
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console

from search.config import SweepConfig, load_config
from search.driver.dense_network import dense_metrics, trained_baseline
from search.errors import BadInputError
from trainables.baseline import find_baseline
from trainables.evaluate_trial import dense_metrics as measured_here


class Lines(Console):
    """A console that is no terminal, and what was written to it."""

    def __init__(self) -> None:
        super().__init__(file=io.StringIO(), width=40)

    @property
    def lines(self) -> list[str]:
        assert isinstance(self.file, io.StringIO)
        return self.file.getvalue().splitlines()


@pytest.fixture
def config(tiny_sweep: Path) -> SweepConfig:
    return load_config(tiny_sweep)


@pytest.fixture
def shown() -> Lines:
    return Lines()


def test_a_network_that_was_trained_before_is_named_and_no_ray_is_needed(config, tiny_baseline, tmp_path, shown):
    assert trained_baseline(config, tiny_baseline.folder.parent, tmp_path, shown) == tiny_baseline
    assert shown.lines == [f"dense network: trained before ({tiny_baseline.folder})"]


def test_figures_that_were_measured_before_are_read_and_no_ray_is_needed(config, tiny_baseline, tmp_path, shown):
    (tmp_path / "dense.json").write_text(json.dumps({"map": 0.625, "macs": 2e6}))
    assert dense_metrics(config, tmp_path, tiny_baseline, shown) == {"map": 0.625, "macs": 2e6}
    assert shown.lines == ["dense mAP 62.5% on the validation queries"]


def test_the_quality_that_is_shown_is_the_sweeps_own(config, tiny_baseline, tmp_path, shown):
    search = config.search.model_copy(update={"objectives": ("recall_at_1", "macs")})
    (tmp_path / "dense.json").write_text(json.dumps({"map": 0.625, "recall_at_1": 0.5, "macs": 2e6}))
    dense_metrics(config.model_copy(update={"search": search}), tmp_path, tiny_baseline, shown)
    assert shown.lines == ["dense R@1 50.0% on the validation queries"]


def test_damaged_figures_are_named_and_not_measured_over(config, tiny_baseline, tmp_path, shown):
    (tmp_path / "dense.json").write_text('{"map": 0.6')
    with pytest.raises(ValueError, match=r"dense\.json|JSON"):
        dense_metrics(config, tmp_path, tiny_baseline, shown)
    assert (tmp_path / "dense.json").read_text() == '{"map": 0.6'


@pytest.mark.ray
def test_figures_are_measured_once_and_kept(local_ray, config, tiny_settings, tiny_baseline, tmp_path, shown):
    metrics = dense_metrics(config, tmp_path, tiny_baseline, shown)
    torch.set_num_threads(1)  # as the task has
    assert metrics == measured_here(tiny_settings, tiny_baseline, torch.device("cpu"))
    written = (tmp_path / "dense.json").stat().st_mtime_ns
    assert dense_metrics(config, tmp_path, tiny_baseline, shown) == metrics
    assert (tmp_path / "dense.json").stat().st_mtime_ns == written


@pytest.mark.ray
def test_a_new_network_is_trained_epoch_by_epoch_and_then_found(local_ray, config, tmp_path, shown):
    short = config.model_copy(update={"dense": config.dense.model_copy(update={"epochs": 2, "steps_per_epoch": 1})})
    baseline = trained_baseline(short, tmp_path, tmp_path, shown)
    assert find_baseline(short.trial_settings, tmp_path) == baseline
    assert [line.partition(":")[0] for line in shown.lines] == ["dense epoch 1", "dense epoch 2"]
    curve = json.loads((baseline.folder / "baseline.json").read_text())["curve"]
    assert shown.lines[1] == f"dense epoch 2: loss {curve[1]['loss']:.3f}, mAP {100 * curve[1]['map']:.1f}%"


@pytest.mark.ray
def test_weights_that_cannot_be_fetched_are_bad_input_of_one_line_and_nothing_is_trained(
    local_ray, config, tmp_path, shown
):
    network = config.network.model_copy(update={"name": "resnet18", "weights": "imagenet"})
    with pytest.raises(BadInputError, match=r"imagenet weights of resnet18 cannot be fetched .*: put ") as refused:
        trained_baseline(config.model_copy(update={"network": network}), tmp_path, tmp_path, shown)
    assert "\n" not in str(refused.value)
    assert (list(tmp_path.glob("*.*")), shown.lines) == ([tmp_path / "tiny.toml"], [])
