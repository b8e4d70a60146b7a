"""Trials scored: against the dense network's gallery, by approximate search, at other sizes, and gone on with."""

import numpy as np
import pytest
import torch

from pruning.schedule import Schedule
from retrieval.datasets.miniature.mini import MiniSettings, write_mini
from retrieval.descriptors.store import extract_stored
from tracking.record import METRICS, TrialRecord
from trainables.baseline import Baseline, need_baseline, train_baseline
from trainables.data import open_data
from trainables.delivery import whitening_of
from trainables.evaluate_trial import dense_metrics, member_metrics
from trainables.folder import TrialFolder
from trainables.retrieval_quality import QualityEvaluator
from trainables.settings import DataSettings, DescriptorSettings, EvaluationSettings, LossSettings, TrialSettings
from trainables.trial import Trial

CPU = torch.device("cpu")
DENSE_GALLERY = EvaluationSettings(gallery="dense")
RATIOS = {"backbone.conv1": 0.5, "backbone.layer1.0.conv1": 0.5, "backbone.layer3.2.conv1": 0.5}


def schedule(**changes) -> Schedule:
    return Schedule(**{"method": "l1", "ratios": RATIOS, "epochs": 1, "learning_rate": 1e-3, **changes})


def trained(settings: TrialSettings, baselines_dir) -> Baseline:
    for _ in train_baseline(settings, baselines_dir, CPU):
        pass
    return need_baseline(settings, baselines_dir)


def outcome_of(settings: TrialSettings, baseline: Baseline, **changes):
    trial = Trial(schedule(**changes), settings, baseline)
    while not trial.finished:
        trial.step()
    return trial.finish(measure=None)


@pytest.fixture(params=[DescriptorSettings(), DescriptorSettings(whitening="pca", size=16)], ids=["plain", "pca"])
def asymmetric(request, tiny_settings, tiny_baseline, baselines):
    settings = tiny_settings.model_copy(update={"evaluation": DENSE_GALLERY, "descriptor": request.param})
    return settings, trained(settings, baselines)


def test_the_dense_network_finds_as_much_in_its_own_gallery_as_in_the_dense_one(asymmetric):
    metrics = dense_metrics(*asymmetric, CPU)
    assert metrics["map_asymmetric"] == metrics["map"]
    assert metrics["test_map_asymmetric"] == metrics["test_map"]


def test_against_a_dense_gallery_a_trial_keeps_the_dense_whitening_and_reports_both(asymmetric):
    settings, baseline = asymmetric
    outcome = outcome_of(settings, baseline)
    ours, dense = whitening_of(outcome.network), whitening_of(baseline.delivered())
    if dense is None:
        assert ours is None
    else:
        assert torch.equal(ours.projection_KD, dense.projection_KD)
        assert torch.equal(ours.mean_D, dense.mean_D)
    assert 0 < outcome.metrics["map_asymmetric"] != outcome.metrics["map"]


@pytest.mark.slow
def test_matching_draws_queries_towards_the_dense_gallery(tiny_settings, tmp_path):
    """Of three seeds each: a contrastive loss alone leaves the space in which the dense network describes."""
    out = tmp_path / "mini"
    write_mini(out, seed=0, settings=MiniSettings(training_places=64, views=6, places=16, distractors=32))
    tuples = {"negatives": 3, "queries": 64, "pool": 128, "freeze_batchnorm": True}
    dense = {"epochs": 4, "steps_per_epoch": 24, "batch_size": 6, "learning_rate": 3e-4}
    settings = tiny_settings.model_copy(
        update={
            "data": DataSettings(root=out, image_size=64),
            "dense": tiny_settings.dense.model_copy(update=dense),
            "loss": LossSettings(name="contrastive", **tuples),
            "evaluation": DENSE_GALLERY,
        }
    )
    baseline = trained(settings, tmp_path / "baselines_dir")

    def found(match: float, seed: int) -> float:
        few = {"steps_per_epoch": 20, "batch_size": 6, "recalibration_steps": 6, "seed": seed}
        loss = settings.loss.model_copy(update={"match": match})
        finetune = settings.finetune.model_copy(update=few)
        these = settings.model_copy(update={"loss": loss, "finetune": finetune})
        again = Baseline(baseline.folder, these, baseline.classes)
        return outcome_of(these, again, epochs=2).metrics["map_asymmetric"]

    alone, matched = ([found(match, seed) for seed in range(3)] for match in (0, 10))
    assert np.mean(matched) > 1.2 * np.mean(alone)


def test_an_approximate_index_reports_what_it_costs(tiny_settings, tiny_baseline, baselines, tmp_path):
    settings = tiny_settings.model_copy(update={"evaluation": EvaluationSettings(index="SQ8")})
    outcome = outcome_of(settings, trained(settings, baselines))
    metrics = outcome.metrics
    images = len(open_data(settings.data).select_on.images)
    assert images * 32 <= metrics["index_bytes"] < images * 32 * 4
    assert metrics["search_ms"] > 0
    assert set(metrics) <= set(METRICS)
    folder = TrialFolder(tmp_path, 0)
    folder.acquire("test")
    record = TrialRecord(
        number=0,
        status="finished",
        schedule=schedule(),
        plan=outcome.plan,
        metrics={**metrics, "speedup": 1.0},
        ledger=outcome.ledger,
    )
    folder.finish(record, outcome.network)
    finals = member_metrics(settings, trained(settings, baselines), tmp_path, 0, CPU)
    assert finals["search_ms"] > 0
    assert "test_map" in finals
    assert set(finals) <= set(METRICS)


@pytest.mark.parametrize(("image_size", "training_size"), [((64, 48), None), ((64, 32), (48, 48)), (64, 48)])
def test_trials_read_and_train_at_sizes_of_their_own(tiny_settings, tmp_path, image_size, training_size):
    data = DataSettings(root=tiny_settings.data.root, image_size=image_size, training_size=training_size)
    settings = tiny_settings.model_copy(update={"data": data, "descriptor": DescriptorSettings(whitening="pca")})
    baseline = trained(settings, tmp_path)
    trial = Trial(schedule(), settings, baseline)
    shapes = {tuple(stack.shape[-2:]) for batch in trial._batches.epoch(0, None) for stack in batch.stacks}
    wanted = training_size or image_size
    assert shapes == {wanted if isinstance(wanted, tuple) else (wanted, wanted)}
    trial.step()
    metrics = trial.finish(measure=None).metrics
    square = Trial(schedule(), tiny_settings, Baseline(baseline.folder, settings, baseline.classes))._dense_cost.macs
    height, width = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    assert trial._dense_cost.macs == pytest.approx(square * height * width / 64**2, rel=0.01)
    assert metrics["mac_ratio"] > 1.2


def test_an_extraction_that_was_killed_goes_on_where_it_was(tiny_settings, tiny_baseline, tmp_path, monkeypatch):
    queries, described = open_data(tiny_settings.data).report_on, []

    def in_small_parts(describe, images, *rest, **options):
        def counted(images_NCHW):
            described.append(len(images_NCHW))
            if len(described) == dies_at:
                raise KeyboardInterrupt
            return describe(images_NCHW)

        return extract_stored(counted, images, *rest, part_size=8, **options)

    monkeypatch.setattr("trainables.retrieval_quality.extract_stored", in_small_parts)
    evaluator = QualityEvaluator(tiny_settings, tiny_baseline, CPU)
    dies_at = 3
    with pytest.raises(KeyboardInterrupt):
        evaluator.evaluate(tiny_baseline.delivered(), queries, tmp_path)
    described, dies_at = [], 0
    found = evaluator.evaluate(tiny_baseline.delivered(), queries, tmp_path)
    assert sum(described) == len(queries.images) - 16
    assert found.map == evaluator.evaluate(tiny_baseline.delivered(), queries).map


def test_the_dense_network_is_loaded_once_however_often_its_gallery_is_searched(asymmetric, monkeypatch):
    settings, baseline = asymmetric
    loaded = []
    delivered = Baseline.delivered
    monkeypatch.setattr(Baseline, "delivered", lambda self: loaded.append(self) or delivered(self))
    evaluator, queries = QualityEvaluator(settings, baseline, CPU), open_data(settings.data).select_on
    network = delivered(baseline)
    evaluations = [evaluator.evaluate(network, queries) for _ in range(2)]
    assert len(loaded) == 1
    assert evaluations[0].more == evaluations[1].more
    assert evaluations[0].more["map_asymmetric"] == evaluations[0].map


def test_half_precision_is_for_gpus_alone(tiny_settings, tiny_baseline):
    """So that a bundle of a sweep on the CPU is verified against what ONNX Runtime computes, too."""
    queries = open_data(tiny_settings.data).select_on
    half = tiny_settings.model_copy(update={"evaluation": EvaluationSettings(autocast=True)})
    evaluators = (QualityEvaluator(each, tiny_baseline, CPU) for each in (tiny_settings, half))
    maps = [evaluator.evaluate(tiny_baseline.network(), queries).aps for evaluator in evaluators]
    assert np.array_equal(*maps, equal_nan=True)
    assert half.evaluation.half_on(torch.device("cuda"))
    assert not tiny_settings.evaluation.half_on(torch.device("cuda"))
