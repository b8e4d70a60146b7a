import json

import pytest
import torch
from torch import Tensor, nn

from pruning.cost import count_macs, macs_by_layer
from pruning.graph.groups import find_groups
from pruning.ledger import LedgerRow, ledger
from pruning.schedule import Schedule
from pruning.surgery import Plan, cut

EXAMPLE_NCHW = torch.randn(1, 3, 16, 16)
ASKS_NOTHING = Schedule(method="l1", ratios={}, epochs=1, learning_rate=0.1)


def three_convolutions() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 24, 3), nn.ReLU(), nn.Conv2d(24, 16, 3)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


class Joined(nn.Module):
    """A depthwise convolution, and two groups of different width that one convolution and a flatten read."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 24, 1)
        self.depthwise = nn.Conv2d(8, 8, 1, groups=8)
        self.join = nn.Conv2d(32, 10, 16)
        self.head = nn.Linear(10, 5)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        sides = [self.depthwise(self.left(images_NCHW)), self.right(images_NCHW)]
        return self.head(self.join(torch.cat(sides, dim=1)).flatten(1))


def saved_by(network: nn.Module, plan: Plan) -> dict[str, int]:
    groups = find_groups(network, EXAMPLE_NCHW)
    rows = ledger(groups, ASKS_NOTHING, cut(network, plan, EXAMPLE_NCHW), macs_by_layer(network, EXAMPLE_NCHW))
    return {row.group: row.macs_saved for row in rows}


def test_the_ledger_tells_asked_aligned_and_achieved_apart() -> None:
    network = three_convolutions()
    ratios = {"0": 0.3, "4": 0.5}  # the last one fixes the descriptor: locked
    schedule = Schedule(method="l1", ratios=ratios, epochs=1, learning_rate=0.1)
    groups = find_groups(network, EXAMPLE_NCHW)
    plan = schedule.build_method().choose(network, groups, schedule.ratios)
    # A quarter of what the first writes (14 by 14 places) and of what the second reads (12 by 12).
    saved = (196 * 32 * 27 + 144 * 24 * 32 * 9) // 4
    assert ledger(groups, schedule, cut(network, plan, EXAMPLE_NCHW), macs_by_layer(network, EXAMPLE_NCHW)) == [
        LedgerRow(group="0", width=32, asked_ratio=0.3, aligned_width=24, achieved_width=24, macs_saved=saved),
        LedgerRow(group="2", width=24, asked_ratio=0.0, aligned_width=24, achieved_width=24),
        LedgerRow(group="4", width=16, asked_ratio=0.5, aligned_width=8, achieved_width=16),
    ]


def test_two_groups_share_what_a_layer_between_them_saves() -> None:
    first, second, third = 196 * 32 * 27, 144 * 24 * 32 * 9, 100 * 16 * 24 * 9
    saved = saved_by(three_convolutions(), {"0": tuple(range(8)), "2": tuple(range(12))})
    # The second layer keeps a = 1/2 of its outputs and b = 1/4 of its inputs.
    assert saved == {
        "0": first * 3 // 4 + second * (1 - 0.25) * (1 + 0.5) / 2,
        "2": second * (1 - 0.5) * (1 + 0.25) / 2 + third // 2,
        "4": 0,
    }
    assert sum(saved.values()) == first * 3 // 4 + second * 7 // 8 + third // 2


def test_groups_that_are_read_side_by_side_share_by_the_inputs_that_they_lost() -> None:
    saved = saved_by(Joined(), {"left": (0, 1), "right": tuple(range(18))})
    join = 32 * 10 * 256
    assert saved == {
        "left": 256 * (24 + 8) * 6 // 8 + join * 6 // 32,
        "right": 256 * 72 * 6 // 24 + join * 6 // 32,
        "join": 0,
    }


def test_a_channel_behind_a_flatten_takes_all_its_positions() -> None:
    network = nn.Sequential(nn.Conv2d(3, 6, 1), nn.Flatten(), nn.Linear(6 * 256, 2))
    assert saved_by(network, {"0": (5, 1, 0)}) == {"0": (256 * 18 + 6 * 256 * 2) // 2}


def test_what_the_groups_saved_sums_to_what_the_network_saved() -> None:
    network = Joined()
    plan = {"left": (1, 4, 6), "right": (0, 7, 22), "join": (2, 3, 5, 9)}
    less = count_macs(network, EXAMPLE_NCHW) - count_macs(cut(network, plan, EXAMPLE_NCHW), EXAMPLE_NCHW)
    assert sum(saved_by(network, plan).values()) == pytest.approx(less, abs=3)


def test_without_counts_nothing_is_known_to_be_saved() -> None:
    network = three_convolutions()
    groups = find_groups(network, EXAMPLE_NCHW)
    rows = ledger(groups, ASKS_NOTHING, cut(network, {"0": (0, 1)}, EXAMPLE_NCHW), {})
    assert [row.macs_saved for row in rows] == [0, 0, 0]


def test_a_row_from_before_savings_were_counted_is_read() -> None:
    old = {"group": "0", "width": 32, "asked_ratio": 0.3, "aligned_width": 24, "achieved_width": 24}
    assert LedgerRow.model_validate_json(json.dumps(old)).macs_saved == 0
