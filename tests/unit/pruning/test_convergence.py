import pytest
import torch
from torch import nn

from pruning.convergence import Convergence, norm_of_chosen
from pruning.graph.groups import find_groups

PLAN, OTHER = {"a": (0, 1)}, {"a": (0, 2)}


def test_it_is_reached_after_so_many_epochs_without_change() -> None:
    convergence = Convergence(2)
    reached = []
    for norm in (4.0, 1.0, 1.01, 1.03):
        convergence.update(PLAN, norm)
        reached.append(convergence.reached)
    assert reached == [False, False, False, True]


@pytest.mark.parametrize(("plan", "norm"), [(OTHER, 1.0), (PLAN, 1.05)])
def test_another_choice_or_another_norm_starts_the_count_anew(plan, norm) -> None:
    convergence = Convergence(2)
    for each in ((PLAN, 1.0), (PLAN, 1.0), (plan, norm), (plan, norm)):
        convergence.update(*each)
    assert not convergence.reached
    convergence.update(plan, norm)
    assert convergence.reached


def test_a_plan_that_removes_nothing_never_settles() -> None:
    convergence = Convergence(1)
    for _ in range(5):
        convergence.update({"a": (0, 1, 2)}, 0.0)
    assert not convergence.reached


def test_without_patience_it_is_never_reached() -> None:
    convergence = Convergence(None)
    for _ in range(50):
        convergence.update(PLAN, 1.0)
    assert not convergence.reached


def test_it_goes_on_from_a_saved_state() -> None:
    first, second = Convergence(2), Convergence(2)
    first.update(PLAN, 1.0)
    first.update(PLAN, 1.0)
    second.load_state_dict(first.state_dict(), PLAN)
    second.update(PLAN, 1.0)
    assert second.reached


def test_the_norm_is_that_of_the_filters_about_to_go() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.Conv2d(3, 2, 1), nn.Flatten())
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([3.0, 4.0, 5.0]).view(3, 1, 1, 1))
    groups = find_groups(network, torch.zeros(1, 1, 1, 1))
    assert norm_of_chosen(network, groups, {"0": (2,)}) == 5.0
    assert norm_of_chosen(network, groups, {}) == 0.0
