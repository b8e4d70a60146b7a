import math

import pytest
import torch
from torch.nn import functional as F

from retrieval.networks.netvlad import NetVLAD


def netvlad_by_loop(x_NCHW, weights_KC, centroids_KC):
    """Equation 4 of the paper, term by term, and the two normalisations."""
    rows = []
    for image_CHW in F.normalize(x_NCHW, dim=1):
        positions_PC = image_CHW.flatten(1).T
        vlad_KC = torch.zeros_like(centroids_KC)
        for position_C in positions_PC:
            powers_K = torch.exp(weights_KC @ position_C)
            for k, centroid_C in enumerate(centroids_KC):
                vlad_KC[k] += powers_K[k] / powers_K.sum() * (position_C - centroid_C)
        vlad_KC = torch.stack([row / row.norm() for row in vlad_KC])
        rows.append(vlad_KC.flatten() / vlad_KC.norm())
    return torch.stack(rows)


def grouped_features(centres_KC, count=50, noise=0.05):
    """`count` unit vectors around each centre."""
    generator = torch.Generator().manual_seed(0)
    spread = noise * torch.randn(count, *centres_KC.shape, generator=generator)
    return F.normalize((centres_KC + spread).flatten(0, 1), dim=1)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (6, 4)])
def test_netvlad_equals_the_loop_over_positions_and_clusters(size):
    torch.manual_seed(0)
    layer, x = NetVLAD(6, clusters=4), torch.randn(2, 6, *size)
    with torch.no_grad():
        layer.assignment.weight.mul_(0.1)
        expected = netvlad_by_loop(x, layer.assignment.weight.flatten(1), layer.centroids_KC)
        assert torch.allclose(layer(x), expected, atol=1e-5)


def test_netvlad_by_hand():
    layer = NetVLAD(2, clusters=2)
    with torch.no_grad():
        layer.centroids_KC.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.5]]))
        layer.assignment.weight.zero_()
        # Both clusters get half of (0, 1): residuals (−1, 1)/2 and (0, 0.5)/2, each made a unit vector, then both.
        descriptor = layer(torch.tensor([[[[0.0]], [[7.0]]]]))[0]
    assert descriptor.tolist() == pytest.approx([-0.5, 0.5, 0.0, 1 / math.sqrt(2)])


def test_init_finds_the_centres_that_features_lie_around():
    centres_KC = F.normalize(torch.tensor([[3.0, 1, 0, 0], [0, 2, 0, 1], [0, 0, 1, 3]]), dim=1)
    layer = NetVLAD(4, clusters=3)
    layer.init_from_(5 * grouped_features(centres_KC))
    nearest = torch.cdist(centres_KC, layer.centroids_KC.detach()).min(dim=1)
    assert nearest.values.max() < 0.05
    assert sorted(nearest.indices.tolist()) == [0, 1, 2]


def test_after_init_the_second_cluster_gets_a_hundredth_of_the_first_at_the_mean_margin():
    features_MC = grouped_features(torch.eye(5)[:3], noise=0.3)
    layer = NetVLAD(5, clusters=3)
    layer.init_from_(features_MC)
    with torch.no_grad():
        best_M2 = layer.assignment(features_MC[:, :, None, None]).flatten(1).topk(2, dim=1).values
    mean_log_share = (best_M2[:, 1] - best_M2[:, 0]).mean()
    assert mean_log_share.exp().item() == pytest.approx(0.01, rel=1e-4)


def test_init_keeps_centroids_as_long_as_the_means_of_their_features():
    features_MC = grouped_features(torch.eye(4)[:2], noise=0.5)
    layer = NetVLAD(4, clusters=2)
    layer.init_from_(features_MC)
    assert layer.centroids_KC.norm(dim=1).max() < 0.95
    directions_KC = F.normalize(layer.assignment.weight.flatten(1), dim=1)
    assert torch.allclose(directions_KC, F.normalize(layer.centroids_KC, dim=1), atol=1e-6)


def test_init_is_the_same_for_the_same_seed():
    features_MC = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
    first, second = NetVLAD(8, clusters=5), NetVLAD(8, clusters=5)
    first.init_from_(features_MC, seed=3)
    second.init_from_(features_MC, seed=3)
    assert torch.equal(first.centroids_KC, second.centroids_KC)


@pytest.mark.parametrize(
    ("features_MC", "message"),
    [
        (torch.rand(3, 8), "must be M×8 with M at least 4"),
        (torch.rand(50, 7), "must be M×8"),
        (torch.full((50, 8), math.nan), "not finite"),
        (torch.ones(50, 8), "all alike"),
    ],
)
def test_features_that_give_no_centroids_are_refused_and_nothing_changes(features_MC, message):
    layer = NetVLAD(8, clusters=4)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        layer.init_from_(features_MC)
    assert all(torch.equal(before[name], value) for name, value in layer.state_dict().items())


def test_a_layer_without_clusters_or_a_second_one_to_tell_apart_is_refused():
    with pytest.raises(ValueError, match="got 8 and 0"):
        NetVLAD(8, clusters=0)
    with pytest.raises(ValueError, match="at least 2"):
        NetVLAD(8, clusters=1).init_from_(torch.rand(9, 8))


def test_netvlad_trains_its_centroids_and_its_assignment():
    layer = NetVLAD(6, clusters=3)
    layer(torch.rand(2, 6, 3, 3)).square().sum(0)[0].backward()
    for parameter in layer.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0
