"""Which trials the comparison of methods runs: every method at equal multiply-adds, and bits × pruned shares."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn

from pruning.coding.sparsity import coded_layers, weight_of
from pruning.cost import count_macs
from pruning.decay import default_decay
from pruning.graph.groups import PrunableGroup
from pruning.methods.registry import METHODS, get_method
from pruning.schedule import Quantization, Schedule, Sparsity
from pruning.surgery import cut

TARGETS = (2, 4, 8)  # dense multiply-adds over pruned ones
EPOCHS = 12  # of every trial, whatever it spends them on
LEARNING_RATE = 2e-3  # the demo's; methods that start from new weights take that of the dense training, 3e-3
SCRATCH_LEARNING_RATE = 3e-3
# Bits and pruned shares of Saha et al.'s table, then fewer bits than theirs; the last runs after l1 at 4 × fewer MACs.
CODINGS = ((8, 0.25), (8, 0.5), (8, 0.7), (8, 0.85), (5, 0.5), (5, 0.75), (4, 0.5), (3, 0.5), (2, 0.5))
CODINGS_AFTER_L1 = ((8, 0.5), (5, 0.5))
PENALTY = 1e-5  # λ; the paper's is unknown
CENTRES_LEARNING_RATE = 2e-4  # a centre moves thousands of weights at once


@dataclass(frozen=True)
class Case:
    """One trial: a name that is unlike any other's, what it aims at, and its schedule."""

    name: str
    method: str
    schedule: Schedule
    target: float | None = None
    bits: int | None = None
    grid: str | None = None


def cases_of(network: nn.Module, groups: Sequence[PrunableGroup], example_NCHW: Tensor) -> list[Case]:
    """All trials that start from this trained dense network."""
    levels = levels_for(network, groups, example_NCHW)
    # What the same epochs give without any cut.
    dense = Case("dense-1", "dense, trained on", _schedule("l1", groups, 0.0), target=1)
    structured = [structured_case(name, groups, levels[target], target) for target in TARGETS for name in _structured()]
    coded = [coded_case(network, bits, share) for bits, share in CODINGS]
    uniform = coded_case(network, 4, 0.5, grid="uniform")
    after = [after_l1(network, groups, levels[4], bits, share) for bits, share in CODINGS_AFTER_L1]
    return [dense, *structured, *coded, uniform, *after]


def levels_for(network: nn.Module, groups: Sequence[PrunableGroup], example_NCHW: Tensor) -> dict[int, float]:
    """Target → the uniform ratio whose aligned widths come nearest to so many times fewer multiply-adds."""
    dense = count_macs(network, example_NCHW)
    reached = {}
    for level in (step / 50 for step in range(48)):
        schedule = _schedule("l1", groups, level)
        plan = schedule.build_method().choose(network, groups, schedule.ratios, schedule.round_to)
        reached[level] = dense / count_macs(cut(network, plan, example_NCHW), example_NCHW)
    return {target: min(reached, key=lambda level: abs(log(reached[level] / target))) for target in TARGETS}


def structured_case(method: str, groups: Sequence[PrunableGroup], level: float, target: float) -> Case:
    return Case(f"{method}-{target:g}", method, _schedule(method, groups, level), target=target)


def coded_case(network: nn.Module, bits: int, share: float, grid: str = "kmeans") -> Case:
    """Trained pruning + quantization as in the paper: one threshold for all layers, here the share's quantile."""
    schedule = Schedule(
        method="trained_pq",
        ratios={},
        epochs=0,
        learning_rate=LEARNING_RATE,
        sparsity=Sparsity(
            threshold=threshold_for(network, share),
            penalty=PENALTY,
            rounds=2,
            penalised_epochs=2,
            retrained_epochs=2,
        ),
        quantization=_quantization(bits, grid),
    )
    assert schedule.total_epochs == EPOCHS
    return Case(f"trained_pq-{bits}-{share:g}-{grid}", "trained_pq", schedule, bits=bits, grid=grid)


def after_l1(network: nn.Module, groups: Sequence[PrunableGroup], level: float, bits: int, share: float) -> Case:
    """The same as a last stage, after l1 cut channels."""
    schedule = _schedule("l1", groups, level).model_copy(
        update={
            "epochs": EPOCHS - 6,
            "sparsity": Sparsity(share=share, retrained_epochs=2),
            "quantization": _quantization(bits, "kmeans"),
        }
    )
    assert schedule.total_epochs == EPOCHS
    return Case(f"l1_pq-{bits}-{share:g}", "l1 + trained_pq", schedule, bits=bits, grid="kmeans")


def threshold_for(network: nn.Module, share: float) -> float:
    """The magnitude below which that share of all convolution and linear weights of the dense network lies."""
    magnitudes = torch.cat([weight_of(layer).detach().abs().flatten() for layer in coded_layers(network).values()])
    return float(magnitudes.kthvalue(round(share * len(magnitudes))).values)


def _structured() -> list[str]:
    return [name for name, method in METHODS.items() if method.removes_channels]


def _schedule(method: str, groups: Sequence[PrunableGroup], level: float) -> Schedule:
    known = get_method(method)
    return Schedule(
        method=method,
        ratios={group.id: level for group in groups if not group.locked},
        decay=default_decay(level) if "decay" in known.hyperparameters() else None,
        epochs=EPOCHS,
        learning_rate=SCRATCH_LEARNING_RATE if known.new_weights else LEARNING_RATE,
    )


def _quantization(bits: int, grid: str) -> Quantization:
    return Quantization(bits=bits, grid=grid, epochs=4, learning_rate=CENTRES_LEARNING_RATE, huffman=True)
