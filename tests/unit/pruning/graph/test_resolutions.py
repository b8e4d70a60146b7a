import torch
from torch import Tensor, nn

from pruning.graph.resolutions import areas_recorded, number_resolutions


class Gate(nn.Module):
    """Squeeze-and-excitation: two layers at one position between layers at many."""

    def __init__(self) -> None:
        super().__init__()
        self.late = nn.Conv2d(4, 4, 1)  # named first, run last
        self.first = nn.Conv2d(3, 4, 3, stride=2)
        self.squeeze = nn.Conv2d(4, 2, 1)
        self.excite = nn.Conv2d(2, 4, 1)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        maps_NCHW = self.first(images_NCHW)
        gate_NC11 = self.excite(self.squeeze(maps_NCHW.mean((-2, -1), keepdim=True))).sigmoid()
        return self.late(maps_NCHW * gate_NC11)


def test_stages_are_numbered_from_the_highest_resolution() -> None:
    assert number_resolutions({"a": 64, "b": 64, "c": 16, "d": 4, "e": 4}) == {"a": 0, "b": 0, "c": 1, "d": 2, "e": 2}


def test_a_gate_stands_where_the_layers_behind_it_do() -> None:
    assert number_resolutions({"a": 64, "squeeze": 1, "excite": 1, "b": 64, "c": 16, "fc": 1}) == {
        **dict.fromkeys(("a", "squeeze", "excite", "b"), 0),
        "c": 1,
        "fc": 2,
    }


def test_no_layers_have_no_stages() -> None:
    assert number_resolutions({}) == {}


def test_areas_come_in_the_order_in_which_layers_run() -> None:
    network = Gate()
    with areas_recorded(network) as areas:
        network(torch.randn(1, 3, 9, 7))
    assert list(areas.items()) == [("first", 4 * 3), ("squeeze", 1), ("excite", 1), ("late", 4 * 3)]


def test_a_linear_layer_has_as_many_positions_as_rows() -> None:
    network = nn.Sequential(nn.Linear(5, 2), nn.Flatten(), nn.Linear(14, 2))
    with areas_recorded(network) as areas:
        network(torch.randn(3, 7, 5))
    assert areas == {"0": 7, "2": 1}


def test_a_layer_that_runs_twice_stands_where_it_ran_last() -> None:
    layer = nn.Conv2d(3, 3, 2, stride=2)
    network = nn.Sequential(layer, nn.Conv2d(3, 3, 1), layer)
    with areas_recorded(network) as areas:
        network(torch.randn(1, 3, 8, 8))
    assert list(areas.items()) == [("1", 16), ("0", 4)]


def test_the_network_keeps_no_hooks() -> None:
    network = Gate()
    with areas_recorded(network):
        pass
    assert not any(module._forward_hooks for module in network.modules())
