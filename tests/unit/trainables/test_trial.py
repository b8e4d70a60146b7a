import json
from copy import deepcopy

import pytest
import safetensors.torch
import torch

from pruning.schedule import Schedule
from retrieval.latency import Speedup
from tracking.record import METRICS
from trainables.baseline import Baseline, baseline_identity, find_baseline, train_baseline
from trainables.trial import Trial, load_cut_network

SPEEDUP = Speedup(dense_latency_ms=2.0, latency_ms=1.0, speedup=2.0, speedup_low=1.9, speedup_high=2.1)


def schedule(method: str, ratio: float = 0.5, epochs: int = 2) -> Schedule:
    ratios = {"backbone.layer1.0.conv1": ratio, "backbone.conv1": ratio, "backbone.layer3.2.conv1": ratio}
    decay = 0.1 if method == "plfp" else None
    return Schedule(method=method, ratios=ratios, decay=decay, epochs=epochs, learning_rate=1e-3)


def same_state(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_state(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same_state, a, b))
    return a == b


def without_times(state: dict) -> dict:
    return {**state, "curve": [{**point, "seconds": 0} for point in state["curve"]]}


@pytest.mark.parametrize("method", ["plfp", "l1", "fpgm"])
def test_a_trial_ends_with_a_network_of_the_asked_widths_and_all_its_metrics(tiny_settings, tiny_baseline, method):
    trial = Trial(schedule(method), tiny_settings, tiny_baseline)
    points = []
    while not trial.finished:
        points.append(trial.step())
    outcome = trial.finish(measure=lambda dense, pruned, settings: SPEEDUP)
    assert [point.epoch for point in points] == [1, 2]
    assert {row.group: row.achieved_width for row in outcome.ledger if row.asked_ratio} == {
        "backbone.conv1": 16,
        "backbone.layer1.0.conv1": 16,
        "backbone.layer3.2.conv1": 64,
    }
    assert outcome.network.backbone.conv1.out_channels == 16
    assert outcome.metrics["map"] == points[-1].map
    assert outcome.metrics["map_low"] <= outcome.metrics["map"] <= outcome.metrics["map_high"]
    assert outcome.metrics["mac_ratio"] > 1.2
    assert outcome.metrics["compression"] > 1.2
    assert outcome.metrics["speedup"] == 2.0
    assert set(outcome.metrics) <= set(METRICS)


@pytest.mark.parametrize("method", ["plfp", "l1"])
def test_a_trial_is_repeatable_and_resumes_as_if_it_had_not_been_interrupted(tiny_settings, tiny_baseline, method):
    whole = Trial(schedule(method), tiny_settings, tiny_baseline)
    whole.step()
    saved = deepcopy(whole.state_dict())  # as it lies on disk: the live one goes on changing
    torch.manual_seed(1234)  # what else the process does must not matter
    resumed = Trial(schedule(method), tiny_settings, tiny_baseline)
    resumed.load_state_dict(saved)
    whole.step()
    resumed.step()
    assert same_state(without_times(whole.state_dict()), without_times(resumed.state_dict()))


def test_a_trial_resumed_after_its_last_epoch_gives_the_same_network(tiny_settings, tiny_baseline):
    whole = Trial(schedule("plfp", epochs=1), tiny_settings, tiny_baseline)
    whole.step()
    resumed = Trial(schedule("plfp", epochs=1), tiny_settings, tiny_baseline)
    resumed.load_state_dict(whole.state_dict())
    assert resumed.finished
    outcomes = [trial.finish(measure=lambda *_: SPEEDUP) for trial in (whole, resumed)]
    assert same_state(dict(outcomes[0].network.state_dict()), dict(outcomes[1].network.state_dict()))
    assert outcomes[0].metrics["map"] == outcomes[1].metrics["map"]


def test_a_finished_network_is_rebuilt_from_its_plan_and_weights(tiny_settings, tiny_baseline):
    trial = Trial(schedule("fpgm", epochs=1), tiny_settings, tiny_baseline)
    trial.step()
    outcome = trial.finish(measure=lambda *_: SPEEDUP)
    weights = safetensors.torch.save(outcome.network.state_dict())
    rebuilt = load_cut_network(tiny_baseline, outcome.plan, weights, 64)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(rebuilt(images), outcome.network(images))


def test_the_network_under_training_is_softened_between_epochs_and_whole(tiny_settings, tiny_baseline):
    trial = Trial(schedule("fpgm"), tiny_settings, tiny_baseline)
    trial.step()
    weights = trial._training.network.backbone.conv1.weight
    removed = sorted(set(range(32)) - set(trial.plan["backbone.conv1"]))
    assert weights.shape[0] == 32
    assert weights[removed].abs().max() == 0
    assert weights[list(trial.plan["backbone.conv1"])].abs().amin() > 0


def test_each_trial_starts_from_the_same_dense_network(tiny_settings, tiny_baseline):
    first = Trial(schedule("plfp"), tiny_settings, tiny_baseline)
    before = {name: tensor.clone() for name, tensor in first._training.network.state_dict().items()}
    first.step()
    second = Trial(schedule("plfp"), tiny_settings, tiny_baseline)
    assert same_state(before, dict(second._training.network.state_dict()))


def test_a_baseline_is_found_again_and_belongs_to_its_settings(tiny_settings, tiny_baseline, baselines):
    assert find_baseline(tiny_settings, baselines) == tiny_baseline
    longer = tiny_settings.model_copy(update={"dense": tiny_settings.dense.model_copy(update={"epochs": 3})})
    assert baseline_identity(longer) != baseline_identity(tiny_settings)
    assert find_baseline(longer, baselines) is None


def test_an_interrupted_training_leaves_no_baseline(tiny_settings, tmp_path):
    training = train_baseline(tiny_settings, tmp_path, torch.device("cpu"))
    next(training)
    training.close()
    assert find_baseline(tiny_settings, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_the_dense_training_learns(tiny_baseline: Baseline):
    curve = json.loads((tiny_baseline.folder / "baseline.json").read_text())["curve"]
    assert curve[-1]["loss"] < curve[0]["loss"]
