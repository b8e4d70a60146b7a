"""What a trial will cost is known from shapes: also those of scales and a whitening that are not fitted yet."""

import pytest
import torch

from pruning.graph.groups import find_groups
from pruning.schedule import Schedule
from trainables.baseline import build_dense, need_baseline, train_baseline
from trainables.pruned_shape import cost_model, untrained_cost_model
from trainables.settings import DescriptorSettings, TrialSettings, tracing_image


@pytest.mark.parametrize(
    ("descriptor", "opens"),
    [
        ({}, False),
        ({"scales": (1.0, 0.5), "whitening": "pca", "size": 16}, False),
        ({}, True),
    ],
)
def test_an_untrained_network_costs_what_the_trained_one_will(tiny_settings, tiny_baseline, descriptor, opens):
    changes = {"descriptor": DescriptorSettings(**descriptor)}
    settings: TrialSettings = tiny_settings.model_copy(update=changes)
    if opens:
        network = settings.network.model_copy(update={"descriptor_size": None})
        settings = settings.model_copy(update={"network": network})
    baselines = tiny_baseline.folder.parent
    for _ in train_baseline(settings, baselines, torch.device("cpu")):
        pass
    baseline = need_baseline(settings, baselines)
    untrained = build_dense(settings.network, baseline.classes).eval()
    groups = tuple(find_groups(untrained, tracing_image(settings.data.image_size), open_descriptor=opens))
    known = cost_model(baseline, groups)
    predicted = untrained_cost_model(untrained, groups, settings)
    assert predicted.dense == known.dense
    for ratio in (0.0, 0.25, 0.75):
        ratios = {group.id: ratio for group in groups if not group.locked}
        schedule = Schedule(method="l1", ratios=ratios, epochs=1, learning_rate=0.1, open_descriptor=opens)
        assert predicted.metrics(schedule) == known.metrics(schedule)
