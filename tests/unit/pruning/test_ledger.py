import torch
from torch import nn

from pruning.groups import find_groups
from pruning.ledger import LedgerRow, ledger
from pruning.methods.registry import get_method
from pruning.schedule import Schedule
from pruning.surgery import cut

EXAMPLE_NCHW = torch.randn(1, 3, 16, 16)


def test_the_ledger_tells_asked_aligned_and_achieved_apart() -> None:
    network = nn.Sequential(
        *(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 24, 3), nn.ReLU(), nn.Conv2d(24, 16, 3)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )
    ratios = {"0": 0.3, "4": 0.5}  # the last one fixes the descriptor: locked
    schedule = Schedule(method="l1", ratios=ratios, epochs=1, learning_rate=0.1)
    groups = find_groups(network, EXAMPLE_NCHW)
    plan = get_method("l1").choose(network, groups, schedule)
    assert ledger(groups, schedule, cut(network, plan, EXAMPLE_NCHW)) == [
        LedgerRow(group="0", width=32, asked_ratio=0.3, aligned_width=24, achieved_width=24),
        LedgerRow(group="2", width=24, asked_ratio=0.0, aligned_width=24, achieved_width=24),
        LedgerRow(group="4", width=16, asked_ratio=0.5, aligned_width=8, achieved_width=16),
    ]
