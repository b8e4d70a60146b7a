import math

import pytest
import torch

from retrieval.training.losses.reid import ReIDPair


def test_the_reid_pair_smooths_labels_and_compares_features_before_the_neck():
    features, labels = torch.tensor([[0.0], [1.0], [3.0], [7.0]]), torch.tensor([0, 0, 1, 1])
    logits = torch.tensor([[2.0, 0.0]] * 4)
    # log-softmax of (2, 0): −0.126928, −2.126928; smoothed targets 0.95 and 0.05.
    right, wrong = 0.95 * 0.126928 + 0.05 * 2.126928, 0.05 * 0.126928 + 0.95 * 2.126928
    value = ReIDPair(margin=1.5, smoothing=0.1)(torch.full((4, 1), math.nan), features, logits, labels)
    assert value.item() == pytest.approx((right + wrong) / 2 + 1.0, abs=1e-5)
