import pytest
import torch

from pruning.distances import pairwise_distances


def test_distances_equal_direct_differences() -> None:
    rows_OD = torch.randn(30, 50, generator=torch.Generator().manual_seed(0))
    direct_OO = torch.cdist(rows_OD.double(), rows_OD.double(), compute_mode="donot_use_mm_for_euclid_dist")
    torch.testing.assert_close(pairwise_distances(rows_OD), direct_OO, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("relative", [1e-2, 1e-3, 1e-5, 1e-7])
def test_a_near_duplicate_keeps_its_distance(relative: float) -> None:
    rows_OD = torch.randn(2, 4608, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    rows_OD[1] = rows_OD[0] * (1 + relative)
    expected = (rows_OD[0] - rows_OD[1]).norm()
    assert float(pairwise_distances(rows_OD)[0, 1]) == pytest.approx(float(expected), rel=1e-8)


def test_identical_rows_are_exactly_zero_apart() -> None:
    rows_OD = torch.randn(1, 999).repeat(7, 1)
    assert int(pairwise_distances(rows_OD).count_nonzero()) == 0


def test_distances_are_symmetric_to_the_bit() -> None:
    distances_OO = pairwise_distances(torch.randn(65, 33))
    assert torch.equal(distances_OO, distances_OO.T)
    assert int(distances_OO.diagonal().count_nonzero()) == 0


def test_pairs_across_many_blocks_are_all_measured() -> None:
    base_D = torch.randn(200_000, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    rows_OD = torch.stack([base_D * (1 + 1e-6 * i) for i in range(8)])  # 28 near pairs, 10 fit a block
    steps = pairwise_distances(rows_OD)[0] / base_D.norm()
    assert steps.tolist() == pytest.approx([1e-6 * i for i in range(8)], rel=1e-6)
