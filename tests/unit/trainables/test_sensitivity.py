"""The sensitivity of one group, measured, against the same done step by step."""

import json
from pathlib import Path

import pytest
import torch

from pruning.cost import count_macs
from pruning.criteria import l1_scores
from pruning.graph.groups import filters_of, find_groups
from pruning.surgery import cut
from retrieval.descriptors.extract import describe_with
from retrieval.evaluation.evaluate import evaluate
from retrieval.training.loop import Batches, recalibrate_batchnorm_
from spaces.preset import load_preset
from tracking.sensitivity import CutPoint, GroupSensitivity
from trainables.baseline import Baseline, need_baseline, train_baseline
from trainables.data import open_data
from trainables.delivery import deliver
from trainables.evaluate_trial import dense_metrics
from trainables.sensitivity import Probe, keep_group, kept_group, measure_dense, measure_group, sensitivity_folder
from trainables.settings import DescriptorSettings, NetworkSettings, TrialSettings, example_image, tracing_image

CPU = torch.device("cpu")
PROBE = Probe(method="l1", ratios=(0.25, 0.5, 0.75), quality="map")
GROUP = "backbone.layer3.0.conv1"


def widths_of(settings, baseline) -> dict[str, int]:
    return {g.id: g.width for g in find_groups(baseline.network(), tracing_image(settings.data.image_size))}


def cut_by_hand(settings, baseline, group_id: str, kept: int):
    """Keep the filters of the largest Σ|W|, then measure BatchNorm on the trial's first batches."""
    dense, example = baseline.network(), tracing_image(settings.data.image_size)
    group = next(group for group in find_groups(dense, example) if group.id == group_id)
    order = torch.argsort(l1_scores(filters_of(dense, group)), descending=True)
    small = cut(dense, {group_id: sorted(order[:kept].tolist())}, example)
    data, finetune = open_data(settings.data), settings.finetune
    batches = Batches(
        data.train, data.training_reader, finetune.batch_size, finetune.seed, finetune.recalibration_steps
    )
    recalibrate_batchnorm_(small, batches.epoch(0), CPU)
    return small


def trained(settings: TrialSettings, baselines_dir: Path) -> Baseline:
    for _ in train_baseline(settings, baselines_dir, CPU):
        pass
    return need_baseline(settings, baselines_dir)


@pytest.mark.parametrize(
    "descriptor", [DescriptorSettings(), DescriptorSettings(whitening="pca", size=16)], ids=["plain", "whitened"]
)
def test_a_measured_group_equals_cutting_it_by_hand(tiny_settings, tiny_baseline, baselines, descriptor):
    settings = tiny_settings.model_copy(update={"descriptor": descriptor})
    baseline = trained(settings, baselines)
    data, example = open_data(settings.data), example_image(settings.data.image_size)
    dense_macs = count_macs(baseline.delivered(), example)
    found = measure_group(settings, baseline, GROUP, PROBE, CPU)
    for point in found.points:
        small = deliver(cut_by_hand(settings, baseline, GROUP, point.kept), settings, data, CPU)
        assert point.quality == evaluate(describe_with(small, CPU), data.select_on, data.reader_of(data.select_on)).map
        assert point.macs_saved == dense_macs - count_macs(small, example)
    assert [point.kept for point in found.points] == [96, 64, 32]
    assert found.width == 128


def test_ratios_that_come_to_one_width_are_measured_once_and_none_at_the_dense_width(tiny_settings, tiny_baseline):
    probe = PROBE.model_copy(update={"ratios": (0.01, 0.5, 0.51)})
    found = measure_group(tiny_settings, tiny_baseline, GROUP, probe, CPU)
    assert [point.kept for point in found.points] == [found.width // 2]


def test_a_group_too_narrow_for_every_ratio_has_no_points(tiny_settings, tiny_baseline):
    group_id, width = next(iter(widths_of(tiny_settings, tiny_baseline).items()))
    probe = PROBE.model_copy(update={"round_to": width})
    found = measure_group(tiny_settings, tiny_baseline, group_id, probe, CPU)
    assert found == GroupSensitivity(group=group_id, width=width, points=())


def test_an_unknown_group_is_refused_with_the_nearest_name(tiny_settings, tiny_baseline):
    with pytest.raises(ValueError, match=r"no group 'backbone.layer3.0.con1' .* nearest: 'backbone.layer3.0.conv1'"):
        measure_group(tiny_settings, tiny_baseline, "backbone.layer3.0.con1", PROBE, CPU)


def test_a_locked_group_is_refused(tiny_settings, tmp_path):
    dense = tiny_settings.dense.model_copy(update={"epochs": 1, "steps_per_epoch": 1})
    # Without a projection behind the pooling the last convolution fixes the descriptor's size.
    settings = tiny_settings.model_copy(update={"network": NetworkSettings(name="mini_resnet"), "dense": dense})
    baseline = trained(settings, tmp_path)
    with pytest.raises(ValueError, match=r"'backbone.layer3.0.conv2' is locked: all 128 of its channels must stay"):
        measure_group(settings, baseline, "backbone.layer3.0.conv2", PROBE, CPU)


def test_the_dense_point_is_what_the_sweep_reports_of_the_dense_network(tiny_settings, tiny_baseline):
    metrics = dense_metrics(tiny_settings, tiny_baseline, CPU)
    found = measure_dense(tiny_settings, tiny_baseline, PROBE, CPU)
    assert (found.quality, found.macs) == (metrics["map"], metrics["macs"])


def test_a_measurement_comes_back_from_its_file_and_a_damaged_one_is_made_again(tmp_path, caplog):
    found = GroupSensitivity(group="a.b", width=16, points=(CutPoint(kept=8, quality=0.25, macs_saved=7),))
    assert kept_group(tmp_path, "a.b") is None
    keep_group(tmp_path, found)
    assert kept_group(tmp_path, "a.b") == found
    (tmp_path / "a.b.json").write_text("{")
    assert kept_group(tmp_path, "a.b") is None
    assert "measured again" in caplog.text


@pytest.mark.parametrize(
    "changes", [{"method": "fpgm"}, {"ratios": (0.5,)}, {"round_to": 4}, {"quality": "map_asymmetric"}]
)
def test_another_probe_is_kept_elsewhere(tiny_settings, tiny_baseline, changes):
    folder = sensitivity_folder(tiny_settings, tiny_baseline, PROBE)
    assert folder != sensitivity_folder(tiny_settings, tiny_baseline, PROBE.model_copy(update=changes))
    assert folder.parent == tiny_baseline.folder


def test_only_what_changes_a_measurement_changes_where_it_is_kept(tiny_settings, tiny_baseline):
    def folder(**changes):
        return sensitivity_folder(tiny_settings.model_copy(update=changes), tiny_baseline, PROBE)

    finetune, latency = tiny_settings.finetune, tiny_settings.latency
    assert folder() == folder(latency=latency.model_copy(update={"pairs": 30}))
    assert folder() == folder(finetune=finetune.model_copy(update={"steps_per_epoch": 9}))
    assert folder() != folder(finetune=finetune.model_copy(update={"recalibration_steps": 9}))
    assert folder() != folder(descriptor=DescriptorSettings(scales=(1.0, 0.7)))


def test_measurements_of_before_methods_declared_their_hyperparameters_are_found():
    for method in ("plfp", "l1"):
        hyperparameters = load_preset("filters", neighbours=[2, 4]).plain_hyperparameters(method)
        probe = Probe(method=method, ratios=(0.25,), quality="map", hyperparameters=hyperparameters)
        assert json.dumps(probe.flat(), sort_keys=True) == (
            f'{{"method": "{method}", "neighbours": 2, "open_descriptor": false, '
            '"quality": "map", "ratios": [0.25], "round_to": 8}'
        )
        assert probe.schedule("a", 0.25).neighbours == 2
