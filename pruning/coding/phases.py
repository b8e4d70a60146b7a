"""Trained pruning + quantization: single weights to zero, the others to few bits, training in between.

It runs as a method of its own, or as the last stage after channels were cut. A trial walks through the phases of
`phases_of`: it calls `begin_` at the start of each, adds `penalty_of(phase) · l1_penalty(network)` to the loss, and
trains as many epochs as the phase has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pruning.coding.quantize import quantize_
from pruning.coding.sparsity import coded_layers, hold_masks_, magnitude_mask, share_mask, weight_of
from pruning.graph.groups import PrunableGroup
from pruning.names import nearest_name
from pruning.schedule import Quantization, Schedule, Sparsity


@dataclass(frozen=True)
class Phase:
    """A part of the last stage of a trial: how it begins, and how long it trains.

    Attributes:
        kind: "penalise" trains with the penalty; "retrain" begins with pruning; "quantize" begins with quantizing.
        part: the share of the schedule's pruning target that is reached at its end, in (0, 1].
    """

    kind: Literal["penalise", "retrain", "quantize"]
    epochs: int
    learning_rate: float
    penalty: float = 0.0
    part: float = 1.0


def phases_of(schedule: Schedule) -> tuple[Phase, ...]:
    """Return the phases of a schedule's last stage, in order; none when it has no quantization."""
    phases = []
    if (sparsity := schedule.sparsity) is not None:
        rate = sparsity.learning_rate or schedule.learning_rate
        for turn in range(1, sparsity.rounds + 1):
            part = turn / sparsity.rounds
            phases.append(Phase("penalise", sparsity.penalised_epochs, rate, sparsity.penalty, part))
            phases.append(Phase("retrain", sparsity.retrained_epochs, rate, part=part))
    if (quantization := schedule.quantization) is not None:
        rate = quantization.learning_rate or schedule.learning_rate
        phases.append(Phase("quantize", quantization.epochs, rate))
    return tuple(phases)


def begin_(network: nn.Module, phase: Phase, groups: Sequence[PrunableGroup], schedule: Schedule) -> None:
    """Start a phase: prune or quantize the network, or do nothing, as the kind of the phase says.

    Raises:
        ValueError: pruning would empty a layer, weights are not finite, or bits are named for a group that the network
            has not.
    """
    if phase.kind == "retrain":
        assert schedule.sparsity is not None
        hold_masks_(network, _masks(network, schedule.sparsity, phase.part))
    elif phase.kind == "quantize":
        assert schedule.quantization is not None
        quantize_(network, layer_bits(network, groups, schedule.quantization), schedule.quantization.grid)


def resume_(network: nn.Module, begun: Sequence[Phase], groups: Sequence[PrunableGroup], schedule: Schedule) -> None:
    """Give a network the form that it has after these phases began, so that a state saved then can be loaded into it.

    Its masks and codes mean nothing until that is done.
    """
    for phase in begun:
        if phase.kind == "retrain":
            layers = coded_layers(network).items()
            hold_masks_(network, {name: torch.ones_like(weight_of(layer), dtype=torch.bool) for name, layer in layers})
        else:
            begin_(network, phase, groups, schedule)


def layer_bits(network: nn.Module, groups: Sequence[PrunableGroup], quantization: Quantization) -> dict[str, int]:
    """Return the bits of every coded layer: those of its group, or of the layer itself when it belongs to none.

    Raises:
        ValueError: `group_bits` names neither.
    """
    group_of = {member: group.id for group in groups for member in group.members}
    owners = {layer: group_of.get(layer, layer) for layer in coded_layers(network)}
    for named in quantization.group_bits:
        if named not in owners.values():
            nearest = nearest_name(named, owners.values())
            raise ValueError(f"bits are named for {named!r}, no group of this network; nearest: {nearest!r}")
    return {layer: quantization.group_bits.get(owner, quantization.bits) for layer, owner in owners.items()}


def _masks(network: nn.Module, sparsity: Sparsity, part: float) -> dict[str, Tensor]:
    weights = {name: weight_of(layer).detach() for name, layer in coded_layers(network).items()}
    return {name: _mask(name, weight, sparsity, part) for name, weight in weights.items()}


def _mask(name: str, weight: Tensor, sparsity: Sparsity, part: float) -> Tensor:
    try:
        if sparsity.threshold is not None:
            return magnitude_mask(weight, sparsity.threshold)
        assert sparsity.share is not None
        return share_mask(weight, sparsity.share * part)
    except ValueError as error:
        raise ValueError(f"layer {name!r}: {error}") from error
