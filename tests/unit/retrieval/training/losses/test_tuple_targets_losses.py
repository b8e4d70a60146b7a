import math
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from retrieval.training.losses.contrastive import Contrastive, contrastive
from retrieval.training.losses.triplet import Triplet, triplet

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
