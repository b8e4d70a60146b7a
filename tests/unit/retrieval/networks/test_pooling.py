import math

import pytest
import torch

from retrieval.networks.pooling import MAC, RMAC, GeM, SPoC, gem, mac, rmac, spoc

SIZES = [(1, 1), (1, 7), (2, 2), (3, 1), (4, 4), (5, 9), (6, 4), (7, 7), (8, 24), (9, 5), (13, 10), (24, 32), (40, 11)]


def unit(vectors_NC):
    return vectors_NC / (vectors_NC.norm(dim=1, keepdim=True) + 1e-6)


def starts_by_loop(size, side, count):
    """First positions of `count` intervals on one axis, as the protocol rounds them."""
    half = math.floor(side / 2 - 1)
    step = (size - side) / (count - 1) if count > 1 else 0
    return [int(start) for start in torch.floor(half + torch.arange(count).float() * step) - half]


def rmac_by_loop(x_NCHW, levels=3):
    """R-MAC region by region, from the text of the protocol."""
    height, width = x_NCHW.shape[2:]
    shorter = min(height, width)
    steps = (max(height, width) - shorter) / torch.arange(1.0, 7.0)
    extra = int(((shorter**2 - shorter * steps) / shorter**2 - 0.4).abs().argmin()) + 1
    more_rows, more_columns = extra * (height > width), extra * (width > height)
    total_NC = unit(x_NCHW.amax((2, 3)))
    for level in range(1, levels + 1):
        side = 2 * shorter // (level + 1)
        if side == 0:
            continue
        for top in starts_by_loop(height, side, level + more_rows):
            for left in starts_by_loop(width, side, level + more_columns):
                region = x_NCHW[:, :, top : top + side, left : left + side]
                total_NC = total_NC + unit(region.amax((2, 3)))
    return total_NC


def test_gem_with_exponent_one_is_the_mean_and_with_a_large_one_the_maximum():
    x = torch.rand(2, 3, 4, 5) + 0.1
    assert torch.allclose(gem(x, p=1.0), spoc(x))
    assert torch.allclose(gem(x, p=200.0), mac(x), rtol=0.05)


def test_gem_mac_and_spoc_by_hand():
    x = torch.tensor([[[[1.0, 2.0]], [[-3.0, -1.0]]]])
    assert gem(x, p=3.0)[0, 0].item() == pytest.approx(4.5 ** (1 / 3))
    assert mac(x).tolist() == [[2, -1]]
    assert spoc(x).tolist() == [[1.5, -2]]


def test_gem_learns_its_exponent():
    pooling = GeM()
    pooling(torch.rand(1, 2, 3, 3)).sum().backward()
    assert pooling.p.grad is not None
    assert pooling.p.grad != 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("levels", [1, 3, 5])
def test_rmac_equals_the_loop_over_regions(size, levels):
    x = torch.randn(2, 6, *size, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(rmac(x, levels), rmac_by_loop(x, levels), atol=1e-5)


def test_rmac_of_a_map_transposed_is_the_same():
    x = torch.rand(2, 6, 9, 21)
    assert torch.allclose(rmac(x), rmac(x.transpose(2, 3)), atol=1e-5)


def test_rmac_counts_fifteen_regions_on_a_square_map_and_more_on_a_longer_one():
    # One channel: the unit vector of every region is 1, so the sum is their number, the whole map among them.
    assert rmac(torch.ones(1, 1, 12, 12)).item() == pytest.approx(1 + 1 + 4 + 9, abs=1e-3)
    assert rmac(torch.ones(1, 1, 12, 16)).item() == pytest.approx(1 + 2 + 6 + 12, abs=1e-3)


def test_rmac_has_finite_gradients_on_maps_too_small_for_all_levels():
    x = torch.rand(1, 3, 1, 2, requires_grad=True)
    rmac(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert x.grad.abs().sum() > 0


def test_rmac_without_levels_is_refused():
    with pytest.raises(ValueError, match="levels is 0"):
        rmac(torch.ones(1, 1, 4, 4), levels=0)


@pytest.mark.parametrize(
    ("layer", "function"),
    [(GeM(), gem), (MAC(), mac), (SPoC(), spoc), (RMAC(), rmac), (RMAC(levels=2), lambda x: rmac(x, levels=2))],
    ids=["gem", "mac", "spoc", "rmac", "rmac of two levels"],
)
def test_a_layer_gives_what_its_function_gives(layer, function):
    x = torch.rand(2, 5, 6, 8)
    assert torch.allclose(layer(x), function(x))
