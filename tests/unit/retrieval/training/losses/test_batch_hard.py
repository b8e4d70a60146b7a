import math

import pytest
import torch
from torch.nn import functional as F

from retrieval.training.losses.batch_hard import batch_hard


def unit_rows(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def slow_batch_hard(features, labels, margin):
    terms = []
    for a, anchor in enumerate(features):
        same = [math.dist(anchor, x) for i, x in enumerate(features) if labels[i] == labels[a] and i != a]
        other = [math.dist(anchor, x) for i, x in enumerate(features) if labels[i] != labels[a]]
        if same and other:
            difference = max(same) - min(other)
            terms.append(math.log1p(math.exp(difference)) if margin == "soft" else max(0.0, margin + difference))
    return sum(terms) / len(terms)


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
