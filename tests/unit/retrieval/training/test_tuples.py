from dataclasses import replace

import numpy as np
import pytest
import torch

from retrieval.datasets.base import Images, TrainingSet
from retrieval.datasets.formats.folders import load_folder_per_class
from retrieval.descriptors.extract import describe_with, extract
from retrieval.images import ImageReader
from retrieval.networks.network import build_network
from retrieval.training.loop import Batches
from retrieval.training.mining import draw_pairs, draw_pool, hardest_negatives
from retrieval.training.tuples import TupleBatches

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def training_set(tiny_data):
    return load_folder_per_class(tiny_data / "train")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network("mini_resnet", descriptor_size=16)


def tuples(training_set, *, size: int | None = 64, **changes) -> TupleBatches:
    plain = Batches(training_set, ImageReader(size), batch_size=4, seed=0, steps=changes.pop("steps", None))
    return TupleBatches(plain, **{"negatives": 3, "queries": 12, "pool": 60} | changes)


def test_batches_hold_whole_tuples_and_an_epoch_every_query_once(training_set, network):
    found = tuples(training_set)
    batches = list(found.epoch(0, network))
    assert len(batches) == found.steps_per_epoch == 3
    for batch in batches:
        assert batch.labels_N.tolist() == [-1, 1, 0, 0, 0] * 4
        assert [len(stack) for stack in batch.stacks] == [20]


def test_the_tuples_are_those_that_the_rules_give(training_set, network):
    found = tuples(training_set)
    mined = found._mine(network, 12, np.random.default_rng((0, 5)))
    rng = np.random.default_rng((0, 5))
    pairs, pool = draw_pairs(training_set, 12, rng), draw_pool(training_set, 60, rng)
    reader = ImageReader(64)
    described = extract(describe_with(network, CPU), [(path, None) for path in training_set.images], reader)
    expected = hardest_negatives(training_set, pairs, pool, described[pairs[:, 0]] @ described[pool].T, 3)
    assert [each.tolist() for each in mined] == [
        [*pair, *negatives] for pair, negatives in zip(pairs.tolist(), expected, strict=True)
    ]
    for query, positive, *negatives in (training_set.labels[each].tolist() for each in mined):
        assert query == positive
        assert len({query, *negatives}) == 4


def test_an_epoch_follows_from_weights_seed_and_number_alone(training_set, network):
    def first(epoch: int, of: torch.nn.Module = network, seed: int = 0) -> torch.Tensor:
        source = tuples(training_set)
        source = replace(source, plain=replace(source.plain, seed=seed))
        return next(source.epoch(epoch, of)).stacks[0]

    torch.manual_seed(7)
    other = build_network("mini_resnet", descriptor_size=16)
    assert torch.equal(first(2), first(2))
    assert not torch.equal(first(2), first(3))
    assert not torch.equal(first(2), first(2, seed=1))
    assert not torch.equal(first(2), first(2, of=other))


def test_steps_may_be_fewer_or_more_than_the_tuples_fill(training_set, network):
    assert len(list(tuples(training_set, steps=1).epoch(0, network))) == 1
    assert len(list(tuples(training_set, steps=7).epoch(0, network))) == 7
    (only,) = tuples(training_set, queries=2).epoch(0, network)
    assert only.labels_N.tolist() == [-1, 1, 0, 0, 0] * 2


def test_fewer_classes_than_negatives_give_shorter_tuples(training_set, network):
    few = training_set.labels < 3
    names = [training_set.images[i].relative_to(training_set.images[0].parents[1]) for i in np.flatnonzero(few)]
    images = Images(training_set.images[0].parents[1], [name.as_posix() for name in names])
    three = TrainingSet(images, training_set.labels[few], training_set.classes[:3])
    (batch, *_) = tuples(three, negatives=5).epoch(0, network)
    assert batch.labels_N.tolist() == [-1, 1, 0, 0] * 4


def test_tuples_need_two_images_of_a_class(training_set):
    alone = TrainingSet(training_set.images[:3], np.arange(3), ("a", "b", "c"))
    with pytest.raises(ValueError, match="no two images of a class"):
        tuples(alone)
