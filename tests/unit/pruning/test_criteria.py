import math
import time

import pytest
import torch
from torch import Tensor

from pruning.criteria import (
    fpgm_scores,
    l1_scores,
    l2_scores,
    local_scores,
    plfp_removal_order,
    random_removal_order,
)
from pruning.methods.base import lowest

# The worked example of BAFD: A and B are all but the same, C is nearest to everything, D is far out.
A_B_C_D = torch.tensor([[1.0, 1.0], [1.0, 0.99], [0.0, 0.0], [-2.0, -2.0]])


def reference_order(filters_OD: Tensor, count: int, neighbours: int) -> list[int]:
    """Algorithm 1 of BAFD as a slow double loop."""
    rows = filters_OD.double().tolist()
    alive, removed = list(range(len(rows))), []
    for _ in range(count):
        distances = {i: sorted(math.dist(rows[i], rows[j]) for j in alive if j != i) for i in alive}
        totals = {i: math.fsum(distances[i]) for i in alive}
        candidates = alive
        if neighbours < len(alive):
            means = {i: sum(distances[i][:neighbours]) / neighbours for i in alive}
            smallest = min(means.values())
            candidates = [i for i in alive if abs(means[i] - smallest) <= 1e-8 + 1e-5 * smallest]
        victim = min(candidates, key=lambda i: (totals[i], i))
        alive.remove(victim)
        removed.append(victim)
    return removed


def layer(kind: str, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    width = int(torch.randint(2, 40, (1,), generator=generator))
    filters_OD = torch.randn(width, 18, generator=generator)
    if kind == "exact duplicates":
        filters_OD[torch.randperm(width, generator=generator)[: width // 2]] = filters_OD[0].clone()
    if kind == "near-duplicates":
        half = width // 2
        noise = torch.randn(half, 18, generator=generator)
        filters_OD[:half] = filters_OD[half : 2 * half] + 1e-5 * noise
    if kind == "lattice":
        return torch.randint(-1, 2, (width, 2), generator=generator).float()
    if kind == "hub":
        return filters_OD * torch.linspace(0.01, 1, width)[:, None]
    return filters_OD


@pytest.mark.parametrize("kind", ["random", "exact duplicates", "near-duplicates", "lattice", "hub"])
@pytest.mark.parametrize("neighbours", [1, 2, 5])
@pytest.mark.parametrize("seed", range(8))
def test_plfp_order_equals_the_double_loop_of_algorithm_1(kind: str, neighbours: int, seed: int) -> None:
    filters_OD = layer(kind, seed)
    width = len(filters_OD)
    assert plfp_removal_order(filters_OD, width, neighbours).tolist() == reference_order(filters_OD, width, neighbours)


def test_plfp_drops_b_in_the_worked_example() -> None:
    assert plfp_removal_order(A_B_C_D, count=1).tolist() == [1]


def test_fpgm_drops_c_in_the_worked_example() -> None:
    # A .01 + 1.41421 + 4.24264, B .01 + 1.40716 + 4.23557, C 1.41421 + 1.40716 + 2.82843, D the rest.
    scores_O = fpgm_scores(A_B_C_D)
    assert scores_O.tolist() == pytest.approx([5.66685, 5.65273, 5.64980, 11.30664], abs=1e-5)
    assert int(scores_O.argmin()) == 2


def test_l1_sums_absolute_weights() -> None:
    assert l1_scores(A_B_C_D).tolist() == pytest.approx([2.0, 1.99, 0.0, 4.0])


def test_l2_is_the_euclidean_norm() -> None:
    assert l2_scores(torch.tensor([[3.0, -4.0], [0.0, 2.0]])).tolist() == [5.0, 2.0]


def test_l1_and_l2_can_disagree() -> None:
    filters_OD = torch.tensor([[3.0, 0.0], [2.0, 2.0]])
    assert lowest(l1_scores(filters_OD), 1).tolist() == [0]
    assert lowest(l2_scores(filters_OD), 1).tolist() == [1]


@pytest.mark.parametrize("neighbours", [1, 2, 50])
def test_local_scores_equal_the_mean_over_the_nearest(neighbours: int) -> None:
    rows = torch.randn(9, 5, generator=torch.Generator().manual_seed(2)).tolist()
    distances = [sorted(math.dist(a, b) for b in rows if b is not a)[:neighbours] for a in rows]
    expected = [sum(nearest) / len(nearest) for nearest in distances]
    assert local_scores(torch.tensor(rows), neighbours).tolist() == pytest.approx(expected, rel=1e-6)


def test_a_lone_filter_has_no_neighbour_and_scores_nothing() -> None:
    assert local_scores(torch.ones(1, 3)).tolist() == [0.0]
    with pytest.raises(ValueError, match="neighbours must be at least 1, got 0"):
        local_scores(torch.ones(3, 3), 0)


def test_a_random_choice_follows_from_the_filters_alone() -> None:
    one_OD, other_OD = torch.randn(2, 64, 9, generator=torch.Generator().manual_seed(0))
    chosen = random_removal_order(one_OD, 32).tolist()
    assert chosen == random_removal_order(one_OD.clone(), 32).tolist()
    assert chosen != random_removal_order(other_OD, 32).tolist()
    assert len(set(chosen)) == 32
    assert random_removal_order(one_OD, 0).dtype == torch.long


def test_a_random_choice_spares_no_filter_over_many_layers() -> None:
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(8)
    for _ in range(400):
        counts[random_removal_order(torch.randn(8, 3, generator=generator), 4)] += 1
    assert counts.min() > 150
    assert counts.max() < 250


def test_fpgm_keeps_a_filter_and_its_negative_apart() -> None:
    filters_OD = torch.tensor([[1.0, 2.0], [-1.0, -2.0], [1.0, 2.0]])
    apart = 2 * math.sqrt(5)
    assert fpgm_scores(filters_OD).tolist() == pytest.approx([apart, 2 * apart, apart])


def test_fpgm_scores_equal_the_double_sum() -> None:
    filters_OD = torch.randn(17, 27, generator=torch.Generator().manual_seed(3))
    expected = [sum(math.dist(a, b) for b in filters_OD.tolist()) for a in filters_OD.tolist()]
    assert fpgm_scores(filters_OD).tolist() == pytest.approx(expected, rel=1e-9)


def test_plfp_never_empties_a_cluster_while_a_duplicate_is_left() -> None:
    generator = torch.Generator().manual_seed(0)
    originals_OD = torch.randn(16, 36, generator=generator)
    filters_OD = torch.cat([originals_OD, originals_OD + 1e-5 * torch.randn(16, 36, generator=generator)])
    removed = set(plfp_removal_order(filters_OD, count=16).tolist())
    assert all(len({i, i + 16} & removed) == 1 for i in range(16))


def pairs_lost(removed_K: Tensor, pairs: int) -> float:
    """Share of planted pairs (i, i + pairs) of which nothing is left."""
    removed = set(removed_K.tolist())
    return sum({i, i + pairs} <= removed for i in range(pairs)) / pairs


def test_plfp_rarely_removes_both_of_a_planted_pair_where_the_one_shot_rule_often_does() -> None:
    # Half of 96 filters go: 16 near-duplicate pairs among 64 others that have no near neighbour.
    greedy, one_shot = [], []
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        originals_OD = torch.randn(80, 36, generator=generator)
        twins_OD = originals_OD[:16] + 1e-3 * torch.randn(16, 36, generator=generator)
        filters_OD = torch.cat([originals_OD[:16], twins_OD, originals_OD[16:]])
        greedy.append(pairs_lost(plfp_removal_order(filters_OD, 48), 16))
        one_shot.append(pairs_lost(lowest(local_scores(filters_OD), 48), 16))
    assert sum(one_shot) / 20 == 1.0
    assert sum(greedy) / 20 < 0.5


def test_plfp_removes_one_of_each_planted_pair_before_anything_else() -> None:
    generator = torch.Generator().manual_seed(1)
    originals_OD = torch.randn(40, 36, generator=generator)
    filters_OD = torch.cat([originals_OD, originals_OD[:12] + 1e-3 * torch.randn(12, 36, generator=generator)])
    removed = plfp_removal_order(filters_OD, 12).tolist()
    assert sorted(index % 40 for index in removed) == list(range(12))


def test_plfp_falls_back_to_the_total_distance_when_all_are_neighbours() -> None:
    assert plfp_removal_order(A_B_C_D, count=1, neighbours=3).tolist() == [2]
    assert plfp_removal_order(A_B_C_D, count=1, neighbours=100).tolist() == [2]


def test_plfp_breaks_full_ties_by_index() -> None:
    assert plfp_removal_order(torch.ones(4, 3), count=4).tolist() == [0, 1, 2, 3]


def test_a_shorter_plfp_order_is_the_beginning_of_a_longer_one() -> None:
    filters_OD = layer("random", seed=5)
    longer = plfp_removal_order(filters_OD, len(filters_OD)).tolist()
    for count in range(len(filters_OD) + 1):
        assert plfp_removal_order(filters_OD, count).tolist() == longer[:count]


def test_plfp_order_is_int64_and_leaves_the_filters_alone() -> None:
    filters_OD = torch.nn.Parameter(torch.randn(6, 4))
    before = filters_OD.detach().clone()
    order_K = plfp_removal_order(filters_OD, 2)
    assert order_K.dtype == torch.long
    assert order_K.shape == (2,)
    assert torch.equal(filters_OD, before)


def test_a_hub_near_every_filter_does_not_make_the_order_slow() -> None:
    filters_OD = torch.randn(1024, 32, generator=torch.Generator().manual_seed(0))
    filters_OD *= torch.linspace(0.001, 1, 1024)[:, None]
    start = time.perf_counter()
    assert len(plfp_removal_order(filters_OD, 512)) == 512
    assert time.perf_counter() - start < 5  # 0.1 s when nothing else runs; a rescan of all rows takes minutes


@pytest.mark.parametrize("count", [-1, 5])
def test_a_count_out_of_range_is_refused_by_value(count: int) -> None:
    with pytest.raises(ValueError, match=rf"cannot remove {count} of 4 filters.*\[0, 4\]"):
        plfp_removal_order(A_B_C_D, count)


def test_no_neighbour_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="neighbours must be at least 1, got 0"):
        plfp_removal_order(A_B_C_D, 1, neighbours=0)


@pytest.mark.parametrize(
    "criterion",
    [
        l1_scores,
        l2_scores,
        fpgm_scores,
        local_scores,
        lambda rows: plfp_removal_order(rows, 1),
        lambda rows: random_removal_order(rows, 1),
    ],
)
@pytest.mark.parametrize(
    ("filters", "complaint"),
    [
        (torch.ones(4, 3, 3), r"got shape \(4, 3, 3\)"),
        (torch.ones(0, 3), r"got shape \(0, 3\)"),
        (torch.tensor([[1.0, 2.0], [3.0, math.nan]]), "got nan in filter 1, element 1"),
        (torch.tensor([[math.inf, 2.0]]), "got inf in filter 0, element 0"),
    ],
)
def test_filters_that_make_no_sense_are_refused(criterion, filters: Tensor, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        criterion(filters)
