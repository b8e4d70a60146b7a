import json
from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import onnx
import pytest
import torch

from pruning.coding.packing import unpack
from pruning.schedule import Quantization, Schedule
from retrieval.runtime.latency import Speedup
from tracking.record import METRICS
from trainables.baseline import Baseline, baseline_identity, build_dense, find_baseline, need_baseline, train_baseline
from trainables.settings import DescriptorSettings, TrialSettings
from trainables.trial import Trial, replay

PLAIN = DescriptorSettings()
WHITENED = DescriptorSettings(scales=(1.0, 0.7), whitening="pca", size=16, images=60)
SPEEDUP = Speedup(dense_latency_ms=2.0, latency_ms=1.0, speedup=2.0, speedup_low=1.9, speedup_high=2.1)


def schedule(method: str, ratio: float = 0.5, epochs: int = 2) -> Schedule:
    ratios = {"backbone.layer1.0.conv1": ratio, "backbone.conv1": ratio, "backbone.layer3.2.conv1": ratio}
    decay = 0.1 if method == "plfp" else None
    return Schedule(method=method, ratios=ratios, decay=decay, epochs=epochs, learning_rate=1e-3)


def coded(method: str, **changes) -> Schedule:
    epochs = 0 if method == "trained_pq" else 1
    stages = {
        "sparsity": {"share": 0.5, "penalty": 1e-5, "rounds": 2, "penalised_epochs": 1, "retrained_epochs": 1},
        "quantization": {"bits": 4, "epochs": 1, "huffman": True},
    }
    bare = {**schedule("l1", epochs=epochs or 1).model_dump(), "method": method, "epochs": epochs}
    return Schedule(**{**bare, "ratios": bare["ratios"] if epochs else {}, **stages, **changes})


def run(trial: Trial):
    while not trial.finished:
        trial.step()
    return trial.finish(measure=None)


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


@pytest.mark.parametrize("method", ["plfp", "l1", "sfp", "fpgm", "random", "scratch"])
def test_a_trial_ends_with_a_network_of_the_asked_widths_and_all_its_metrics(tiny_settings, tiny_baseline, method):
    trial = Trial(schedule(method), tiny_settings, tiny_baseline)
    points = []
    while not trial.finished:
        points.append(trial.step())
    outcome = trial.finish(measure=lambda pair: SPEEDUP)
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


class CountingMeter:
    """Answers every pair with the same speed, and keeps what it was asked."""

    def __init__(self) -> None:
        self.pairs = []

    def __call__(self, pair):
        self.pairs.append(pair)
        return SPEEDUP

    def graph(self) -> tuple[list[str], dict[str, list[int]]]:
        """Operators in order, and the shape of every weight, of the first pruned model that it was asked about."""
        graph = onnx.load_from_string(self.pairs[0].models()[1]).graph
        return [node.op_type for node in graph.node], {each.name: list(each.dims) for each in graph.initializer}


COUNTED = {"parameters", "macs", "size_bytes", "mac_ratio", "compression"}


@pytest.mark.parametrize("method", ["plfp", "l1", "scratch"])
def test_costs_are_known_before_the_first_epoch_and_the_speed_is_measured_once(tiny_settings, tiny_baseline, method):
    trial, meter = Trial(schedule(method, epochs=1), tiny_settings, tiny_baseline), CountingMeter()
    costs = trial.costs(meter)
    assert trial.costs(measure=None).keys() == COUNTED
    trial.step()
    outcome = trial.finish(meter)
    assert costs.keys() == COUNTED | vars(SPEEDUP).keys()
    assert costs == {key: outcome.metrics[key] for key in costs}
    assert len(meter.pairs) == 1


def test_a_shape_is_known_by_its_widths_whatever_method_and_ratio_lead_to_them(tiny_settings, tiny_baseline):
    keys = []
    for asked in (schedule("l1"), schedule("plfp", ratio=0.49), schedule("l1", ratio=0.25)):
        meter = CountingMeter()
        Trial(asked, tiny_settings, tiny_baseline).costs(meter)
        keys.append(meter.pairs[0].key)
    assert keys[0] == keys[1] != keys[2]


def test_of_coded_weights_the_size_is_a_lower_bound_until_they_are_packed(tiny_settings, tiny_baseline):
    trial = Trial(coded("l1"), tiny_settings, tiny_baseline)
    costs = trial.costs(measure=None)
    outcome = run(trial)
    assert costs["macs"] == outcome.metrics["macs"]
    assert costs["parameters"] == outcome.metrics["parameters"]
    assert costs["size_bytes"] == outcome.metrics["size_formula_bytes"] < outcome.metrics["size_bytes"]
    assert costs["compression"] > outcome.metrics["compression"]


def test_the_figures_after_a_step_are_those_of_the_network_that_would_be_delivered(tiny_settings, tiny_baseline):
    trial = Trial(schedule("fpgm"), tiny_settings, tiny_baseline)
    assert trial.quality == {}
    point = trial.step()
    assert trial.quality["map"] == point.map
    trial.step()
    quality = trial.quality
    assert {"map", "map_low", "map_high", "descriptor_size"} <= quality.keys()
    assert quality == {key: value for key, value in trial.finish(measure=None).metrics.items() if key in quality}


@pytest.mark.parametrize("method", ["trained_pq", "l1"])
def test_a_last_stage_ends_with_few_values_a_layer_and_a_small_file(tiny_settings, tiny_baseline, method):
    outcome = run(Trial(coded(method), tiny_settings, tiny_baseline))
    assert outcome.packed is not None
    assert outcome.metrics["size_bytes"] == len(outcome.packed)
    assert 0.4 < outcome.metrics["pruned_weights"] <= 0.5
    # Half the weights in 4 of 32 bits; what is not coded, and where the others lie, costs something.
    assert outcome.metrics["compression"] > 7
    assert outcome.metrics["size_formula_bytes"] < outcome.metrics["size_bytes"]
    weight = outcome.network.backbone.layer2[0].conv1.weight
    assert len(weight.unique()) <= 2**4 + 1
    assert float((weight == 0).float().mean()) == pytest.approx(0.5, abs=0.01)
    unpacked = unpack(outcome.packed)
    assert same_state(unpacked, dict(outcome.network.state_dict()))
    rebuilt = replay(tiny_baseline.network(), outcome.plan, unpacked, 64, PLAIN)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(rebuilt(images), outcome.network(images))


STAGES = [
    {"quantization": {"bits": 3, "epochs": 2, "grid": "kmeans"}},
    {"quantization": {"bits": 3, "epochs": 2, "grid": "uniform"}},
    {"quantization": {"bits": 8, "epochs": 0}},
    {"quantization": {"bits": 8, "epochs": 0}, "sparsity": {"share": 0.5, "rounds": 2, "retrained_epochs": 0}},
]


@pytest.mark.parametrize("stages", STAGES, ids=["kmeans", "uniform", "no epochs", "no epochs at all"])
@pytest.mark.parametrize("method", ["l1", "fpgm"])
def test_a_last_stage_resumes_as_if_it_had_not_been_interrupted(tiny_settings, tiny_baseline, method, stages):
    """Resumed in and behind each stage, and run until the next of these epochs: the states are equal to the bit."""
    small = tiny_settings.finetune.model_copy(update={"steps_per_epoch": 1, "batch_size": 8, "recalibration_steps": 1})
    settings = tiny_settings.model_copy(update={"finetune": small})
    asked = coded(method, **{"epochs": 2, **stages})
    whole = Trial(asked, settings, tiny_baseline)
    saved = {}
    while not whole.finished:
        point = whole.step()
        saved[point.epoch] = deepcopy(whole.state_dict())
    outcome = whole.finish(measure=None)
    last = asked.total_epochs
    assert len(saved) == last
    stops = sorted({1, asked.epochs, min(asked.epochs + 2, last), max(last - 1, 1), last})
    for start, stop in pairwise([*stops, last]):
        resumed = Trial(asked, settings, tiny_baseline)
        resumed.load_state_dict(deepcopy(saved[start]))
        for _ in range(start, stop):
            resumed.step()
        assert same_state(without_times(saved[stop]), without_times(resumed.state_dict()))
        assert resumed.finished is (stop == last)
        if resumed.finished:
            again = resumed.finish(measure=None)
            assert same_state(dict(outcome.network.state_dict()), dict(again.network.state_dict()))
            assert (outcome.packed, outcome.plan) == (again.packed, again.plan)


def test_what_is_only_quantized_is_the_last_epochs_network(tiny_settings, tiny_baseline):
    plain = run(Trial(schedule("fpgm"), tiny_settings, tiny_baseline))
    asked = schedule("fpgm").model_copy(update={"quantization": Quantization(bits=8, epochs=0)})
    outcome = run(Trial(asked, tiny_settings, tiny_baseline))
    assert outcome.plan == plain.plan
    weight, trained = (each.network.backbone.layer2[0].conv1.weight for each in (outcome, plain))
    step = (trained.max() - trained.min()) / 255
    assert (weight - trained).abs().max() <= 2 * step


def test_a_last_stage_without_epochs_only_quantizes(tiny_settings, tiny_baseline):
    asked = coded("l1", sparsity=None, quantization={"bits": 8, "epochs": 0})
    trial = Trial(asked, tiny_settings, tiny_baseline)
    outcome = run(trial)
    assert len(trial.curve) == 1
    assert len(outcome.network.backbone.conv1.weight.unique()) <= 2**8
    # Scored as it is delivered, quantized.
    resumed = Trial(asked, tiny_settings, tiny_baseline)
    resumed.load_state_dict(trial.state_dict())
    assert run(resumed).metrics["map"] == outcome.metrics["map"]


def test_groups_have_their_own_bits(tiny_settings, tiny_baseline):
    bits = {"backbone.layer2.0.conv1": 2, "projection": 3}
    outcome = run(
        Trial(coded("trained_pq", quantization={"bits": 8, "group_bits": bits}), tiny_settings, tiny_baseline)
    )
    assert len(outcome.network.backbone.layer2[0].conv1.weight.unique()) <= 2**2 + 1
    assert len(outcome.network.projection.weight.unique()) <= 2**3 + 1
    assert len(outcome.network.backbone.layer1[0].conv1.weight.unique()) > 2**4


def test_bits_for_an_unknown_group_are_refused_with_the_nearest(tiny_settings, tiny_baseline):
    asked = coded("trained_pq", sparsity=None, quantization={"group_bits": {"backbone.layer2.0.conv9": 2}})
    with pytest.raises(ValueError, match=r"bits are named for 'backbone.layer2.0.conv9', no group.*nearest: 'backbone"):
        Trial(asked, tiny_settings, tiny_baseline).step()


def test_a_threshold_that_would_empty_a_layer_fails_by_its_name(tiny_settings, tiny_baseline):
    trial = Trial(coded("trained_pq", sparsity={"threshold": 100.0}), tiny_settings, tiny_baseline)
    with pytest.raises(ValueError, match=r"layer 'backbone\.conv1': threshold 100\.0.*largest"):
        trial.step()


def test_scratch_starts_from_new_weights_that_follow_from_the_seed(tiny_settings, tiny_baseline):
    trials = [Trial(schedule("scratch"), tiny_settings, tiny_baseline) for _ in range(2)]
    new, again = (dict(trial._stage.training.network.state_dict()) for trial in trials)
    learned = dict(Trial(schedule("l1"), tiny_settings, tiny_baseline)._stage.training.network.state_dict())
    assert same_state(new, again)
    assert {key: value.shape for key, value in new.items()} == {key: value.shape for key, value in learned.items()}
    assert not torch.equal(new["backbone.conv1.weight"], learned["backbone.conv1.weight"])
    torch.manual_seed(tiny_settings.dense.seed)  # the seed of both trainings: rewinding to that start is another method
    dense_start = build_dense(tiny_settings.network, 16)
    kept = trials[0].plan["backbone.conv1"]
    assert not torch.equal(new["backbone.conv1.weight"], dense_start.backbone.conv1.weight[list(kept)])
    other = tiny_settings.model_copy(update={"finetune": tiny_settings.finetune.model_copy(update={"seed": 5})})
    third = Trial(schedule("scratch"), other, tiny_baseline)._stage.training.network.state_dict()
    assert not torch.equal(new["backbone.conv1.weight"], third["backbone.conv1.weight"])


def trained_without_onnx(settings: TrialSettings, baselines_dir: Path) -> Baseline:
    """Train a dense network, without its ONNX model: that takes seconds, and only a meter reads it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainables.baseline.to_onnx", lambda network, size: b"")
        for _ in train_baseline(settings, baselines_dir, torch.device("cpu")):
            pass
    return need_baseline(settings, baselines_dir)


@pytest.fixture(scope="module")
def bare(tiny_settings, tmp_path_factory):
    """Settings and baseline of a network whose descriptor is what its last convolutions write."""
    network = tiny_settings.network.model_copy(update={"descriptor_size": None})
    dense = tiny_settings.dense.model_copy(update={"epochs": 1})
    settings = tiny_settings.model_copy(update={"network": network, "dense": dense})
    return settings, trained_without_onnx(settings, tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def whitened(bare):
    """The same with two scales and a whitening behind them."""
    settings = bare[0].model_copy(update={"descriptor": WHITENED})
    return settings, trained_without_onnx(settings, bare[1].folder.parent)


def timed_early_and_late(trial: Trial) -> tuple[CountingMeter, CountingMeter]:
    """What is timed before the first epoch, and after the last; both cost the same."""
    early, late = CountingMeter(), CountingMeter()
    costs = trial.costs(early)
    trial._speed = {}  # so that it asks about the finished network, too
    trial.step()
    metrics = trial.finish(late).metrics
    assert costs == {key: metrics[key] for key in costs}
    assert early.pairs[0].key == late.pairs[0].key
    return early, late


def test_what_is_timed_before_is_the_delivered_graph_with_other_weights(whitened):
    """With all that can lie behind the network: two scales, and a whitening that shrinks with an open descriptor."""
    ratios = {"backbone.conv1": 0.5, "backbone.layer3.0.conv2": 0.5}
    asked = Schedule(method="plfp", ratios=ratios, epochs=1, learning_rate=1e-3, open_descriptor=True)
    early, late = timed_early_and_late(Trial(asked, *whitened))
    assert early.graph() == late.graph()


def test_costs_behind_a_whitening_are_known_before_the_first_epoch(whitened):
    timed_early_and_late(Trial(schedule("l1", epochs=1), *whitened))


@pytest.mark.parametrize("method", ["l1", "fpgm", "scratch"])
@pytest.mark.parametrize("then_coded", [False, True])
def test_an_open_descriptor_shrinks_and_the_loss_follows(bare, method, then_coded):
    settings, baseline = bare
    stages = {"quantization": {"bits": 6}} if then_coded else {}
    ratios = {"backbone.layer3.0.conv2": 0.5}
    asked = Schedule(method=method, ratios=ratios, epochs=1, learning_rate=1e-3, open_descriptor=True, **stages)
    trial = Trial(asked, settings, baseline)
    outcome = run(trial)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert outcome.network(images).shape == (2, 64)
        rebuilt = replay(baseline.network(), outcome.plan, dict(outcome.network.state_dict()), 64, PLAIN)
        assert torch.equal(rebuilt(images), outcome.network(images))
    expected = 128 if method == "fpgm" and not then_coded else 64
    assert trial._stage.training.loss.directions_CD.shape[1] == expected


def test_a_locked_descriptor_keeps_its_size_and_the_ledger_says_so(bare):
    settings, baseline = bare
    asked = Schedule(method="l1", ratios={"backbone.layer3.0.conv2": 0.5}, epochs=1, learning_rate=1e-3)
    outcome = run(Trial(asked, settings, baseline))
    (row,) = [row for row in outcome.ledger if row.group == "backbone.layer3.0.conv2"]
    assert (row.aligned_width, row.achieved_width) == (64, 128)


def test_a_trial_stops_early_once_its_method_has_settled(tiny_settings, tiny_baseline):
    patient = schedule("fpgm", epochs=9).model_copy(update={"patience": 1, "learning_rate": 1e-9})
    trial = Trial(patient, tiny_settings, tiny_baseline)
    outcome = run(trial)
    assert len(trial.curve) == 3  # chosen, zeroed, and as it was
    assert outcome.network.backbone.conv1.out_channels == 16


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
    outcomes = [trial.finish(measure=None) for trial in (whole, resumed)]
    assert same_state(dict(outcomes[0].network.state_dict()), dict(outcomes[1].network.state_dict()))
    assert outcomes[0].metrics["map"] == outcomes[1].metrics["map"]


def test_a_finished_network_is_rebuilt_from_its_plan_and_weights(tiny_settings, tiny_baseline):
    trial = Trial(schedule("fpgm", epochs=1), tiny_settings, tiny_baseline)
    trial.step()
    outcome = trial.finish(measure=None)
    rebuilt = replay(tiny_baseline.network(), outcome.plan, dict(outcome.network.state_dict()), 64, PLAIN)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(rebuilt(images), outcome.network(images))


def test_the_network_under_training_is_softened_between_epochs_and_whole(tiny_settings, tiny_baseline):
    trial = Trial(schedule("fpgm"), tiny_settings, tiny_baseline)
    trial.step()
    weights = trial._stage.training.network.backbone.conv1.weight
    removed = sorted(set(range(32)) - set(trial.plan["backbone.conv1"]))
    assert weights.shape[0] == 32
    assert weights[removed].abs().max() == 0
    assert weights[list(trial.plan["backbone.conv1"])].abs().amin() > 0


def test_each_trial_starts_from_the_same_dense_network(tiny_settings, tiny_baseline):
    first = Trial(schedule("plfp"), tiny_settings, tiny_baseline)
    before = {name: tensor.clone() for name, tensor in first._stage.training.network.state_dict().items()}
    first.step()
    second = Trial(schedule("plfp"), tiny_settings, tiny_baseline)
    assert same_state(before, dict(second._stage.training.network.state_dict()))


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


def test_netvlad_starts_from_centroids_among_the_networks_own_features(tiny_settings, tmp_path):
    network = tiny_settings.network.model_copy(update={"pooling": "netvlad"})
    dense = tiny_settings.dense.model_copy(update={"epochs": 1, "learning_rate": 1e-9})
    settings = tiny_settings.model_copy(update={"network": network, "dense": dense})
    pooling = trained_without_onnx(settings, tmp_path).network().pooling
    # Features of unit length: their means are shorter; the random start's centroids are not.
    assert pooling.centroids_KC.norm(dim=1).max() < 1
