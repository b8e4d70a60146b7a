import numpy as np
import pytest
import torch

from retrieval.training.losses.batch_hard import BatchHard
from retrieval.training.losses.contrastive import Contrastive
from retrieval.training.losses.cosine_softmax import CosineSoftmax
from retrieval.training.losses.reid import ReIDPair
from retrieval.training.losses.triplet import Triplet


def test_the_cosine_softmax_by_hand():
    loss = CosineSoftmax(classes=3, descriptor_size=3, scale=2.0)
    loss.directions_CD.data = 5 * torch.eye(3)  # the length of a direction does not matter
    expected = -np.log(np.exp(2) / (np.exp(2) + 2))
    assert loss(torch.eye(3), torch.arange(3)).item() == pytest.approx(expected)


def test_a_cut_descriptor_takes_the_directions_along_and_nothing_else_has_any():
    loss = CosineSoftmax(classes=4, descriptor_size=6)
    before = loss.directions_CD.detach().clone()
    loss.keep_([5, 1])
    assert torch.equal(loss.directions_CD, before[:, [5, 1]])
    assert loss.descriptor_size == 2
    for other in (Contrastive(), Triplet(), BatchHard(), ReIDPair()):
        other.keep_([5, 1])
        assert other.descriptor_size is None
        assert list(other.parameters()) == []
