"""What every pruning method owes: walked over a table that must have a row for each of them."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from contract.masking import masked
from torch import Tensor, nn

from pruning.graph.groups import PrunableGroup, find_groups
from pruning.methods.registry import METHODS, all_hyperparameters
from pruning.schedule import Schedule
from pruning.surgery import Plan, cut
from pruning.widths import kept_count
from spaces.preset import Preset

Make = Callable[[int], nn.Module]

# method → what its schedule needs beside ratios, epochs and learning rate
TABLE: dict[str, dict[str, Any]] = {
    "plfp": {"decay": 0.01, "neighbours": 2},
    "l1": {},
    "sfp": {},
    "fpgm": {},
    "trained_pq": {"sparsity": {"share": 0.5}, "quantization": {"bits": 4}},
    "random": {},
    "largest_first": {},
    "fpgm_decay": {"decay": 0.3},
    "local_zeroing": {},
    "scratch": {},
}
STRUCTURED = [name for name in TABLE if METHODS[name].removes_channels]
# Of the groups of every network in conftest.py: 16, 24 and 16 or 32 channels.
RATIOS = {"stem.0": 0.5, "inner.0": 0.7}


def schedule_of(name: str, ratios: dict[str, float] = RATIOS) -> Schedule:
    kept = ratios if METHODS[name].removes_channels else dict.fromkeys(ratios, 0.0)
    return Schedule(method=name, ratios=kept, epochs=2, learning_rate=0.05, **TABLE[name])


def choose(network: nn.Module, groups: list[PrunableGroup], schedule: Schedule) -> Plan:
    return schedule.build_method().choose(network, groups, schedule.ratios, schedule.round_to)


def soften_(network: nn.Module, groups: list[PrunableGroup], plan: Plan, schedule: Schedule) -> None:
    schedule.build_method().soften_(network, groups, plan, schedule.ratios)


def train_one_epoch(network: nn.Module, images_NCHW: Tensor, schedule: Schedule) -> None:
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=schedule.learning_rate)
    for _ in range(2):
        optimizer.zero_grad()
        network(images_NCHW)[:, 0].sum().backward()
        optimizer.step()
    network.eval()


def test_every_method_has_a_row_in_the_table() -> None:
    assert TABLE.keys() == METHODS.keys()
    assert all(method.name == name for name, method in METHODS.items())


def test_no_hyperparameter_has_the_name_of_another_decision() -> None:
    fields = {*Schedule.model_fields, *Preset.model_fields, "method", "allocation", "share", "threshold", "bits"}
    assert all_hyperparameters().keys() & fields == {"decay", "neighbours"}


@pytest.mark.parametrize("name", STRUCTURED)
def test_the_same_schedule_keeps_the_same_channels(name: str, make_tiny: Make, images_NCHW: Tensor) -> None:
    plans = []
    for _ in range(2):
        network = make_tiny(1)
        plans.append(choose(network, find_groups(network, images_NCHW), schedule_of(name)))
    assert plans[0] == plans[1]
    assert plans[0] != choose(make_tiny(2), find_groups(network, images_NCHW), schedule_of(name))


@pytest.mark.parametrize("name", TABLE)
def test_ratio_zero_leaves_the_outputs_equal_to_the_bit(name: str, make_tiny: Make, images_NCHW: Tensor) -> None:
    network = make_tiny(1)
    before = network(images_NCHW)
    groups = find_groups(network, images_NCHW)
    schedule = schedule_of(name, dict.fromkeys(RATIOS, 0.0))
    plan = choose(network, groups, schedule)
    soften_(network, groups, plan, schedule)
    assert torch.equal(network(images_NCHW), before)
    assert torch.equal(cut(network, plan, images_NCHW)(images_NCHW), before)


@pytest.mark.parametrize("name", STRUCTURED)
def test_kept_widths_are_the_aligned_ones(name: str, make_tiny: Make, images_NCHW: Tensor) -> None:
    network, schedule = make_tiny(1), schedule_of(name)
    groups = find_groups(network, images_NCHW)
    plan = choose(network, groups, schedule)
    small = cut(network, plan, images_NCHW)
    # 16 − 8; 24 − 16 = 8
    assert {group: len(kept) for group, kept in plan.items()} == {"stem.0": 8, "inner.0": 8}
    for group in groups:
        expected = kept_count(group.width, RATIOS.get(group.id, 0.0), schedule.round_to)
        assert [small.get_submodule(member).out_channels for member in group.members] == [expected] * len(group.members)


@pytest.mark.parametrize("name", STRUCTURED)
def test_the_cut_network_equals_the_masked_one(name: str, make_tiny: Make, images_NCHW: Tensor) -> None:
    network = make_tiny(1)
    groups = find_groups(network, images_NCHW)
    plan = choose(network, groups, schedule_of(name))
    networks = (cut(network, plan, images_NCHW), masked(network, groups, plan), network)
    with torch.no_grad():
        cut_ND, masked_ND, dense_ND = (each(images_NCHW) for each in networks)
    torch.testing.assert_close(cut_ND, masked_ND, rtol=0, atol=1e-5)
    assert float((cut_ND - dense_ND).abs().max()) > 1e-3


@pytest.mark.parametrize("name", TABLE)
def test_a_trial_resumed_from_its_weights_ends_the_same(
    name: str, make_tiny: Make, images_NCHW: Tensor, tmp_path: Path
) -> None:
    schedule, network = schedule_of(name), make_tiny(1)
    groups = find_groups(network, images_NCHW)

    def epoch(current: nn.Module) -> Plan:
        train_one_epoch(current, images_NCHW, schedule)
        plan = choose(current, groups, schedule)
        soften_(current, groups, plan, schedule)
        return plan

    epoch(network)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    resumed = make_tiny(99)
    resumed.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert epoch(resumed) == epoch(network)
    assert torch.equal(resumed(images_NCHW), network(images_NCHW))


@pytest.mark.parametrize("name", TABLE)
def test_choosing_changes_no_weight(name: str, make_tiny: Make, images_NCHW: Tensor) -> None:
    network = make_tiny(1)
    before = deepcopy(network.state_dict())
    choose(network, find_groups(network, images_NCHW), schedule_of(name))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("name", TABLE)
def test_a_ratio_for_no_group_is_refused_with_the_nearest(name: str, make_tiny: Make, images_NCHW: Tensor) -> None:
    network = make_tiny(1)
    schedule = schedule_of(name, {"stem.1": 0.5})
    with pytest.raises(ValueError, match=r"no group 'stem\.1' in this network; nearest: 'stem\.0'"):
        choose(network, find_groups(network, images_NCHW), schedule)


@pytest.mark.parametrize("name", STRUCTURED)
def test_groups_without_a_ratio_are_not_in_the_plan(name: str, make_tiny: Make, images_NCHW: Tensor) -> None:
    network = make_tiny(1)
    plan = choose(network, find_groups(network, images_NCHW), schedule_of(name, {"inner.0": 0.5}))
    assert list(plan) == ["inner.0"]


@pytest.mark.parametrize("name", TABLE)
def test_a_locked_group_keeps_all_whatever_is_asked(name: str, images_NCHW: Tensor) -> None:
    network = nn.Sequential(nn.Conv2d(3, 16, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    groups = find_groups(network, images_NCHW)
    assert choose(network, groups, schedule_of(name, {"0": 0.5})) == {}


def test_trained_pq_removes_no_channel(make_tiny: Make, images_NCHW: Tensor) -> None:
    network = make_tiny(1)
    plan = choose(network, find_groups(network, images_NCHW), schedule_of("trained_pq"))
    assert plan == {"stem.0": tuple(range(16)), "inner.0": tuple(range(24))}
    with pytest.raises(ValueError, match="removes no channels, 1 were asked for"):
        METHODS["trained_pq"]().removal_order(torch.rand(4, 2), 1)


@pytest.mark.parametrize(
    ("name", "factor"),
    [("plfp", 0.01), ("l1", 1.0), ("sfp", 0.0), ("fpgm", 0.0), ("fpgm_decay", 0.3), ("local_zeroing", 0.0)],
)
def test_softening_scales_what_the_plan_does_not_keep(
    name: str, factor: float, make_tiny: Make, images_NCHW: Tensor
) -> None:
    network, schedule = make_tiny(1), schedule_of(name)
    before_OIHW = network.get_parameter("inner.0.weight").detach().clone()
    groups = find_groups(network, images_NCHW)
    plan = choose(network, groups, schedule)
    soften_(network, groups, plan, schedule)
    scale_O = torch.full((24,), factor)
    scale_O[list(plan["inner.0"])] = 1.0
    assert torch.equal(network.get_parameter("inner.0.weight"), before_OIHW * scale_O[:, None, None, None])


@pytest.mark.parametrize("name", ["plfp", "fpgm_decay"])
def test_without_a_decay_each_group_has_the_papers(name: str, make_tiny: Make, images_NCHW: Tensor) -> None:
    network = make_tiny(1)
    schedule = Schedule(method=name, ratios=RATIOS, epochs=2, learning_rate=0.05)
    before = {path: network.get_parameter(f"{path}.weight").detach().clone() for path in RATIOS}
    groups = find_groups(network, images_NCHW)
    plan = choose(network, groups, schedule)
    soften_(network, groups, plan, schedule)
    for path, decay in (("stem.0", 0.01), ("inner.0", 0.3)):
        removed = [channel for channel in range(len(before[path])) if channel not in plan[path]]
        weight = network.get_parameter(f"{path}.weight")
        assert torch.equal(weight[removed], before[path][removed] * decay)


@pytest.mark.parametrize("name", ["sfp", "fpgm", "local_zeroing"])
def test_a_zeroed_filter_may_return(name: str, make_tiny: Make, images_NCHW: Tensor) -> None:
    network, schedule = make_tiny(1), schedule_of(name)
    groups = find_groups(network, images_NCHW)
    (group,) = [group for group in groups if group.id == "inner.0"]
    for norm in group.norms:
        network.get_parameter(f"{norm}.bias").data.abs_()  # a channel with a shift below zero is dead behind its ReLU
    plan = choose(network, groups, schedule)
    soften_(network, groups, plan, schedule)
    removed = [channel for channel in range(24) if channel not in plan["inner.0"]]
    network.train()(images_NCHW)[:, 0].sum().backward()
    weights = [network.get_parameter(f"{member}.weight") for member in group.members]
    assert all(weight[removed].abs().max() == 0 for weight in weights)
    gradients_OD = torch.cat([weight.grad.flatten(1) for weight in weights], dim=1)
    alive = gradients_OD[removed].abs().amax(dim=1) > 0
    assert alive.float().mean() > 0.9


@pytest.mark.parametrize(("name", "factor"), [("plfp", 0.01), ("fpgm_decay", 0.3), ("sfp", 1.0), ("fpgm", 1.0)])
def test_only_a_decay_scales_batchnorm_too(name: str, factor: float, make_tiny: Make, images_NCHW: Tensor) -> None:
    network, schedule = make_tiny(1), schedule_of(name)
    before_O = network.get_parameter("inner.1.weight").detach().clone()
    groups = find_groups(network, images_NCHW)
    plan = choose(network, groups, schedule)
    soften_(network, groups, plan, schedule)
    scale_O = torch.full((24,), factor)
    scale_O[list(plan["inner.0"])] = 1.0
    assert torch.equal(network.get_parameter("inner.1.weight"), before_O * scale_O)


def test_those_that_choose_once_cut_before_training() -> None:
    once = {name for name, method in METHODS.items() if method.cuts_first}
    assert once == {"l1", "random", "largest_first", "scratch", "trained_pq"}


@pytest.mark.parametrize("name", STRUCTURED)
def test_weights_that_are_not_finite_are_refused_and_left_alone(
    name: str, make_tiny: Make, images_NCHW: Tensor
) -> None:
    network = make_tiny(1)
    groups = find_groups(network, images_NCHW)
    with torch.no_grad():
        network.get_parameter("inner.0.weight")[3, 0, 0, 0] = float("nan")
    before = deepcopy(network.state_dict())
    with pytest.raises(ValueError, match=r"(?i)nan.*inner\.0"):
        choose(network, groups, schedule_of(name))
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", STRUCTURED)
def test_a_group_too_narrow_to_lose_a_channel_is_refused_and_left_alone(name: str, images_NCHW: Tensor) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 16, 1), nn.Flatten())
    groups = find_groups(network, images_NCHW)
    before = deepcopy(network.state_dict())
    with pytest.raises(ValueError, match=r"group '0' is too narrow for ratio 0\.5: of its 8 channels none can go"):
        choose(network, groups, schedule_of(name, {"0": 0.5}))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize(("neighbours", "dropped"), [(1, 1), (3, 2)])
def test_plfp_looks_at_as_many_neighbours_as_the_schedule_says(neighbours: int, dropped: int) -> None:
    # The worked example of BAFD: B has the nearest neighbour, C is nearest to all.
    filters_OD = torch.tensor([[1.0, 1.0], [1.0, 0.99], [0.0, 0.0], [-2.0, -2.0]])
    schedule = Schedule(method="plfp", ratios={}, decay=0.3, neighbours=neighbours, epochs=1, learning_rate=0.1)
    assert schedule.build_method().removal_order(filters_OD, 1).tolist() == [dropped]
