from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.datasets.base import Images, TrainingSet
from retrieval.datasets.formats.folders import load_folder_per_class
from retrieval.images import ImageReader
from retrieval.training.loop import Batches
from retrieval.training.sampling import ClassBatches


@pytest.fixture(scope="module")
def training_set(tiny_data):
    return load_folder_per_class(tiny_data / "train")  # 16 classes of 6


def classes(training_set, width: int = 4, each: int = 3, **changes) -> ClassBatches:
    plain = Batches(**{"training_set": training_set, "reader": ImageReader(64), "batch_size": 5, "seed": 0} | changes)
    return ClassBatches(plain, classes_per_batch=width, images_per_class=each)


def test_a_batch_is_as_many_images_of_as_many_classes_and_a_round_is_every_class_once(training_set):
    batches = list(classes(training_set).epoch(0))
    assert len(batches) == classes(training_set).steps_per_epoch == 96 // 12
    for batch in batches:
        assert sorted(Counter(batch.labels_N.tolist()).values()) == [3, 3, 3, 3]
        assert len(batch.stacks[0].unique(dim=0)) == 12  # no image twice
    for rounds in (batches[:4], batches[4:]):
        assert set(torch.cat([batch.labels_N for batch in rounds]).tolist()) == set(range(16))


def test_classes_too_few_to_fill_a_last_batch_wait_for_another_round(training_set):
    for batch in classes(training_set, width=5, steps=20).epoch(0):
        assert len(set(batch.labels_N.tolist())) == 5


def test_the_same_seed_and_epoch_give_the_same_batches_and_others_do_not(training_set):
    def first(epoch: int, seed: int = 0) -> torch.Tensor:
        return next(classes(training_set, seed=seed).epoch(epoch)).stacks[0]

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))
    assert not torch.equal(first(1), first(1, seed=1))


def test_small_classes_repeat_and_lonely_images_are_left_out(training_set):
    images = training_set.images[:9]
    uneven = TrainingSet(images, np.array([0, 0, 1, 1, 1, 1, 2, 3, 3]), ("a", "b", "c", "d"))
    (batch, *_) = classes(uneven, width=9).epoch(0)
    assert Counter(batch.labels_N.tolist()) == {0: 3, 1: 3, 3: 3}


def test_batch_hard_needs_two_classes_of_two():
    lonely = TrainingSet(Images(Path("set"), ["a", "b", "c", "d"]), np.array([0, 0, 1, 2]), ("a", "b", "c"))
    with pytest.raises(ValueError, match="fewer than two classes of two images"):
        classes(lonely)
