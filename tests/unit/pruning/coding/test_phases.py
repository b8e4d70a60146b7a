"""The last stage of a trial, phase by phase, on a network small enough to count its weights by hand."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from pruning.coding.phases import Phase, begin_, layer_bits, phases_of, resume_
from pruning.coding.quantize import quantized_weights
from pruning.coding.sparsity import coded_layers, pruned_share, weight_of
from pruning.graph.groups import PrunableGroup
from pruning.schedule import Quantization, Schedule

IMAGES_NCHW = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(7))
# Written by two layers, as behind a shortcut; the linear layer belongs to no group.
GROUP = PrunableGroup(id="0", members=("0", "2"), norms=("1",), norm_starts=(0,), width=8, locked=False)


def small_network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )


def schedule_of(**fields) -> Schedule:
    return Schedule(
        **{"method": "trained_pq", "ratios": {}, "epochs": 0, "learning_rate": 0.1, "quantization": {}, **fields}
    )


def train_(network: nn.Module) -> None:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        network(IMAGES_NCHW).square().sum().backward()
        optimizer.step()


def walked(network: nn.Module, phases: tuple[Phase, ...], schedule: Schedule) -> nn.Module:
    for phase in phases:
        begin_(network, phase, [GROUP], schedule)
        train_(network)
    return network


def zeros_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: weight_of(layer) == 0 for name, layer in coded_layers(network).items()}


def test_a_schedule_without_a_last_stage_has_no_phases():
    assert phases_of(Schedule(method="l1", ratios={"0": 0.5}, epochs=3, learning_rate=0.1)) == ()


def test_each_round_penalises_then_retrains_and_quantizing_comes_last():
    sparsity = {"share": 0.6, "penalty": 1e-4, "rounds": 2, "penalised_epochs": 3, "retrained_epochs": 4}
    phases = phases_of(schedule_of(sparsity=sparsity, quantization={"bits": 4, "epochs": 5}))
    assert [(phase.kind, phase.epochs, phase.penalty, phase.part) for phase in phases] == [
        ("penalise", 3, 1e-4, 0.5),
        ("retrain", 4, 0.0, 0.5),
        ("penalise", 3, 1e-4, 1.0),
        ("retrain", 4, 0.0, 1.0),
        ("quantize", 5, 0.0, 1.0),
    ]


@pytest.mark.parametrize("sparsity", [None, {"threshold": 0.01, "rounds": 3, "retrained_epochs": 2}])
def test_the_phases_last_as_long_as_the_schedule_says_in_all(sparsity):
    asked = schedule_of(sparsity=sparsity, quantization={"epochs": 2})
    assert sum(phase.epochs for phase in phases_of(asked)) == asked.total_epochs


def test_a_part_of_the_last_stage_trains_at_its_own_learning_rate_or_else_at_the_schedules():
    asked = schedule_of(sparsity={"share": 0.5, "learning_rate": 0.02}, quantization={"learning_rate": 0.003})
    assert [phase.learning_rate for phase in phases_of(asked)] == [0.02, 0.02, 0.003]
    assert {phase.learning_rate for phase in phases_of(schedule_of(sparsity={"share": 0.5}))} == {0.1}


def test_to_penalise_begins_without_a_change():
    network, asked = small_network(), schedule_of(sparsity={"share": 0.5, "penalty": 1e-3, "penalised_epochs": 1})
    before = deepcopy(network.state_dict())
    begin_(network, phases_of(asked)[0], [GROUP], asked)
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_the_share_is_reached_in_equal_steps_and_what_is_pruned_stays_zero():
    network, asked = small_network(), schedule_of(sparsity={"share": 0.5, "rounds": 2})
    first, second, _ = [phase for phase in phases_of(asked) if phase.kind != "penalise"]
    before = zeros_of(walked(network, (first,), asked))
    # Of 216, 64 and 32 weights a quarter: 54, 16 and 8.
    assert [int(zero.sum()) for zero in before.values()] == [54, 16, 8]
    after = zeros_of(walked(network, (second,), asked))
    assert [int(zero.sum()) for zero in after.values()] == [108, 32, 16]
    assert all((after[name] | ~zero).all() for name, zero in before.items())


def test_a_threshold_is_whole_from_the_first_round():
    network, asked = small_network(), schedule_of(sparsity={"threshold": 0.1, "rounds": 2})
    expected = {name: weight_of(layer).abs() < 0.1 for name, layer in coded_layers(network).items()}
    retrain = next(phase for phase in phases_of(asked) if phase.kind == "retrain")
    assert retrain.part == 0.5
    begin_(network, retrain, [GROUP], asked)
    assert 0 < pruned_share(network) < 1
    assert all(torch.equal(zero, expected[name]) for name, zero in zeros_of(network).items())


def test_a_threshold_that_empties_a_layer_names_it_and_leaves_the_network_alone():
    network, asked = small_network(), schedule_of(sparsity={"threshold": 0.3})
    with torch.no_grad():
        weight_of(network[0])[0] = 1.0  # the first layer keeps some; the second none: its weights are below 0.36
        weight_of(network[2]).clamp_(-0.2, 0.2)
    with pytest.raises(ValueError, match=r"^layer '2': threshold 0\.3 keeps no weight"):
        walked(network, phases_of(asked), asked)
    assert pruned_share(network) == 0


def test_weights_that_are_not_finite_are_refused_by_their_layer():
    network, asked = small_network(), schedule_of(sparsity={"share": 0.5})
    with torch.no_grad():
        weight_of(network[5])[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"^layer '5': weights must be finite"):
        begin_(network, phases_of(asked)[1], [GROUP], asked)


@pytest.mark.parametrize("grid", ["kmeans", "uniform"])
def test_quantizing_leaves_few_values_and_keeps_the_zeros(grid):
    network, asked = small_network(), schedule_of(sparsity={"share": 0.5}, quantization={"bits": 2, "grid": grid})
    *sparsely, quantize = phases_of(asked)
    zeros = zeros_of(walked(network, tuple(sparsely), asked))
    walked(network, (quantize,), asked)
    for weight, zero in zip(quantized_weights(network).values(), zeros.values(), strict=True):
        assert weight.bits == 2
        assert int(weight.codes.max()) < 4
        assert torch.equal(~weight.kept, zero)
        assert (weight.dequantize()[zero] == 0).all()


@pytest.mark.parametrize("grid", ["kmeans", "uniform"])
@pytest.mark.parametrize("begun", [0, 2, 4, 5])
def test_a_state_saved_in_any_phase_fits_a_new_network_that_resumes_there(begun, grid):
    sparsity = {"share": 0.5, "penalty": 1e-3, "rounds": 2, "penalised_epochs": 1}
    asked = schedule_of(sparsity=sparsity, quantization={"bits": 3, "grid": grid})
    phases = phases_of(asked)
    whole = walked(small_network(), phases[:begun], asked)
    resumed = small_network(seed=99)
    resume_(resumed, phases[:begun], [GROUP], asked)
    resumed.load_state_dict(whole.state_dict())
    assert torch.equal(resumed.eval()(IMAGES_NCHW), whole.eval()(IMAGES_NCHW))
    # And goes on as the other does.
    ends = [walked(network.train(), phases[begun:], asked).state_dict() for network in (whole, resumed)]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())


def test_a_layer_has_the_bits_of_its_group_or_its_own_or_those_of_all():
    bits = Quantization(bits=6, group_bits={"0": 3, "5": 2})
    assert layer_bits(small_network(), [GROUP], bits) == {"0": 3, "2": 3, "5": 2}
    assert layer_bits(small_network(), [GROUP], Quantization(bits=6)) == {"0": 6, "2": 6, "5": 6}
    assert layer_bits(small_network(), [], Quantization(bits=6, group_bits={"2": 4})) == {"0": 6, "2": 4, "5": 6}


@pytest.mark.parametrize("named", ["2", "1", "backbone"])
def test_bits_for_what_is_no_group_are_refused_also_for_another_member_of_a_group(named):
    asked = schedule_of(quantization={"group_bits": {named: 3}})
    network = small_network()
    with pytest.raises(ValueError, match=rf"bits are named for '{named}', no group .* nearest: '[05]'"):
        walked(network, phases_of(asked), asked)
    assert not quantized_weights(network)
