import pytest
import torch
from torch import nn

from pruning.allocation import block_of, ranked_ratios, ranking_of
from pruning.graph.groups import PrunableGroup, find_groups


def group(name: str) -> PrunableGroup:
    return PrunableGroup(name, members=(name,), norms=(), norm_starts=(), width=4, locked=False)


def test_the_filters_worth_least_anywhere_go_first() -> None:
    groups = [group("a"), group("b")]
    ranking = {"a": (0.1, 0.2, 0.3, 0.9), "b": (0.6, 0.7, 0.8, 0.85)}
    assert ranked_ratios(groups, ranking, 0.5) == {"a": 0.75, "b": 0.25}
    assert ranked_ratios(groups, ranking, 0.0) == {"a": 0.0, "b": 0.0}


def test_what_a_capped_group_keeps_is_taken_from_the_others() -> None:
    groups = [group("a"), group("b")]
    ranking = {"a": (0.1, 0.1, 0.1, 0.1), "b": (0.6, 0.7, 0.8, 0.85)}
    assert ranked_ratios(groups, ranking, 0.5, cap=0.5) == {"a": 0.5, "b": 0.5}


def test_a_block_gets_the_mean_of_its_groups_and_gives_it_to_those_that_were_not_ranked() -> None:
    groups = [group("layer1.0.conv1"), group("layer1.0.conv2"), group("layer1.0.conv3"), group("layer1.1.conv1")]
    ranking = {"layer1.0.conv1": (0.1, 0.1, 0.9, 0.9), "layer1.0.conv2": (0.9, 0.9, 0.9, 0.9)}
    assert ranked_ratios(groups, ranking, 0.25) == {
        "layer1.0.conv1": 0.25,
        "layer1.0.conv2": 0.25,
        "layer1.0.conv3": 0.25,
        "layer1.1.conv1": 0.0,
    }


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("backbone.layer3.1.conv2", "backbone.layer3.1"),
        ("backbone.layer2.0.downsample.0", "backbone.layer2.0"),
        ("backbone.4.conv.0.0", "backbone.4"),
        ("3", "3"),
        ("layer10.conv", "layer10.conv"),
        ("features.12", "features.12"),
        ("conv1", "conv1"),
    ],
)
def test_a_block_ends_at_the_first_number_of_a_name(name: str, block: str) -> None:
    assert block_of(name) == block


def test_scores_are_normalised_and_pointwise_convolutions_left_out() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.Conv2d(6, 5, 1), nn.Conv2d(5, 8, 3), nn.Conv2d(8, 4, 3), nn.AdaptiveAvgPool2d(1)
    )
    groups = find_groups(network, torch.zeros(1, 3, 16, 16))
    ranking = ranking_of(network, groups)
    assert {name: len(scores) for name, scores in ranking.items()} == {"0": 6, "2": 8}
    for scores in ranking.values():
        assert torch.tensor(scores).norm().item() == pytest.approx(1)
    with torch.no_grad():
        network[0].weight *= 7
    assert ranking_of(network, groups)["0"] == pytest.approx(ranking["0"])


def test_a_ranking_of_another_network_and_shares_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"of another network: groups \['b'\]"):
        ranked_ratios([group("a")], {"b": (1.0,)}, 0.5)
    with pytest.raises(ValueError, match="of another network"):
        ranked_ratios([group("a")], {"a": (1.0, 2.0)}, 0.5)
    for share in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match=f"share must be in .* got {share}"):
            ranked_ratios([group("a")], {}, share)
