import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from retrieval.networks.network import build_network
from retrieval.training.losses import (
    BatchHard,
    Contrastive,
    CosineSoftmax,
    Loss,
    Matched,
    ReIDPair,
    Triplet,
    batch_hard,
    contrastive,
    descriptor_matching,
    triplet,
)

TWO_TUPLES = torch.tensor([-1, 1, 0, 0, 0, -1, 1, 0])  # the second has one negative only


def unit_rows(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def tuples_of(descriptors: torch.Tensor, targets: torch.Tensor):
    """(query, positive, negatives) of each tuple, one by one."""
    starts = [i for i, target in enumerate(targets) if target == -1] + [len(targets)]
    for start, end in pairwise(starts):
        yield descriptors[start], descriptors[start + 1], descriptors[start + 2 : end]


def slow_contrastive(descriptors, targets, margin):
    total = 0.0
    for query, positive, negatives in tuples_of(descriptors, targets):
        total += 0.5 * sum((a - b + 1e-6) ** 2 for a, b in zip(query.tolist(), positive.tolist(), strict=True))
        for negative in negatives:
            distance = math.sqrt(sum((a - b + 1e-6) ** 2 for a, b in zip(query, negative, strict=True)))
            total += 0.5 * max(0.0, margin - distance) ** 2
    return total


def slow_triplet(descriptors, targets, margin):
    total = 0.0
    for query, positive, negatives in tuples_of(descriptors, targets):
        for negative in negatives:
            total += max(0.0, float((query - positive).pow(2).sum() - (query - negative).pow(2).sum()) + margin)
    return total


def slow_batch_hard(features, labels, margin):
    terms = []
    for a, anchor in enumerate(features):
        same = [math.dist(anchor, x) for i, x in enumerate(features) if labels[i] == labels[a] and i != a]
        other = [math.dist(anchor, x) for i, x in enumerate(features) if labels[i] != labels[a]]
        if same and other:
            difference = max(same) - min(other)
            terms.append(math.log1p(math.exp(difference)) if margin == "soft" else max(0.0, margin + difference))
    return sum(terms) / len(terms)


@pytest.mark.parametrize("margin", [0.7, 1.4])
def test_contrastive_and_triplet_agree_with_plain_loops_over_tuples_of_unequal_length(margin):
    descriptors = unit_rows(8, 5)
    expected = slow_contrastive(descriptors, TWO_TUPLES, margin), slow_triplet(descriptors, TWO_TUPLES, margin)
    assert expected[0] > 0
    assert expected[1] > 0
    found = contrastive(descriptors, TWO_TUPLES, margin), triplet(descriptors, TWO_TUPLES, margin)
    assert [float(each) for each in found] == pytest.approx(expected)


def test_contrastive_by_hand():
    # Positive at distance 0.6; negatives at 0.5, which costs, and 2, which does not.
    descriptors = torch.tensor([[0.0, 0.0], [0.6, 0.0], [0.3, 0.4], [2.0, 0.0]], dtype=torch.float64)
    value = contrastive(descriptors, torch.tensor([-1, 1, 0, 0]), margin=0.7)
    assert value.item() == pytest.approx(0.5 * 0.36 + 0.5 * 0.2**2, abs=1e-5)


def test_triplet_by_hand():
    # d(q,p)² = 0.36; d(q,n)² = 0.25, 0.4 and 4: 0.36 − 0.25 + 0.1 and 0.36 − 0.4 + 0.1 are left.
    descriptors = torch.tensor([[0.0, 0.0], [0.6, 0.0], [0.3, 0.4], [0.4**0.5, 0.0], [2.0, 0.0]], dtype=torch.float64)
    value = triplet(descriptors, torch.tensor([-1, 1, 0, 0, 0]), margin=0.1)
    assert value.item() == pytest.approx(0.21 + 0.06)


def test_two_tuples_cost_what_they_cost_alone():
    descriptors = unit_rows(8, 5)
    for loss in (Contrastive(1.4), Triplet(0.5)):
        alone = loss(descriptors[:5], TWO_TUPLES[:5]) + loss(descriptors[5:], TWO_TUPLES[5:])
        assert loss(descriptors, TWO_TUPLES).item() == pytest.approx(alone.item())


@pytest.mark.parametrize("targets", [[0, -1, 1, 0], [-1, 0, 0, 0], [-1, 1, 0, -1], [0, 0, 0, 0]])
@pytest.mark.parametrize("loss", [Contrastive(), Triplet()])
def test_targets_that_are_no_tuples_are_refused(loss, targets):
    with pytest.raises(ValueError, match="tuples begin with a query"):
        loss(unit_rows(4, 3), torch.tensor(targets))


@pytest.mark.parametrize("margin", [0.3, 3.0, "soft"])
def test_batch_hard_agrees_with_a_double_loop_and_leaves_lonely_images_out(margin):
    features = 2 * unit_rows(9, 4)
    labels = torch.tensor([0, 1, 0, 2, 1, 0, 3, 2, 4])
    assert batch_hard(features, labels, margin).item() == pytest.approx(slow_batch_hard(features, labels, margin))


def test_batch_hard_by_hand():
    # On a line at 0, 1 (class 0) and 3, 7 (class 1). Anchors: 1−3, 1−2, 4−2, 4−6; with margin 1.5: 0, 0.5, 3.5, 0.
    features, labels = torch.tensor([[0.0], [1.0], [3.0], [7.0]]), torch.tensor([0, 0, 1, 1])
    assert batch_hard(features, labels, margin=1.5).item() == pytest.approx((0.5 + 3.5) / 4)


def test_batch_hard_has_a_gradient_where_images_repeat():
    features = torch.ones(4, 3, requires_grad=True)
    batch_hard(features, torch.tensor([0, 0, 1, 1]), margin=0.3).backward()
    assert torch.isfinite(features.grad).all()


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_batch_hard_refuses_a_batch_without_triplets(labels):
    with pytest.raises(ValueError, match="two images of a class and one of another"):
        batch_hard(torch.randn(3, 2), torch.tensor(labels), margin=0.3)


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


def test_the_reid_pair_smooths_labels_and_compares_features_before_the_neck():
    features, labels = torch.tensor([[0.0], [1.0], [3.0], [7.0]]), torch.tensor([0, 0, 1, 1])
    logits = torch.tensor([[2.0, 0.0]] * 4)
    # log-softmax of (2, 0): −0.126928, −2.126928; smoothed targets 0.95 and 0.05.
    right, wrong = 0.95 * 0.126928 + 0.05 * 2.126928, 0.05 * 0.126928 + 0.95 * 2.126928
    value = ReIDPair(margin=1.5, smoothing=0.1)(torch.full((4, 1), math.nan), features, logits, labels)
    assert value.item() == pytest.approx((right + wrong) / 2 + 1.0, abs=1e-5)


def test_descriptor_matching_by_hand():
    ours, dense = torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([[0.0, 1.0], [0.6, 0.8]])
    assert descriptor_matching(ours, dense).item() == pytest.approx((2 + 0) / 2)


def test_descriptors_of_unequal_size_cannot_be_matched():
    with pytest.raises(ValueError, match="must all be kept"):
        descriptor_matching(torch.ones(2, 3), torch.ones(2, 4))


@pytest.mark.parametrize("head", ["plain", "reid"])
def test_matching_adds_the_distance_to_a_dense_network_that_stays_as_it_is(head):
    torch.manual_seed(0)
    classes = 3 if head == "reid" else None
    network, dense = (build_network("mini_resnet", descriptor_size=8, classes=classes) for _ in range(2))
    plain: Loss = ReIDPair() if head == "reid" else CosineSoftmax(3, 8)
    loss = Matched(plain, dense, weight=2.0)
    images, labels = torch.randn(4, 3, 64, 64), torch.tensor([0, 0, 1, 2])
    before = {name: tensor.clone() for name, tensor in dense.state_dict().items()}
    network.train()
    loss.train()
    value = loss(*loss.outputs(network, images), labels)
    value.backward()
    with torch.no_grad():
        distance = (network(images) - dense.eval()(images)).pow(2).sum(1).mean()
        expected = plain(*plain.outputs(network, images), labels) + 2 * distance
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert all(parameter.grad is None for parameter in dense.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in dense.state_dict().items())
    assert len(list(loss.parameters())) == len(list(plain.parameters()))
    assert loss.descriptor_size == plain.descriptor_size
    assert not any(isinstance(module, nn.Conv2d) for module in loss.modules())
