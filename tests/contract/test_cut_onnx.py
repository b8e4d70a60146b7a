"""A network that was cut is exported as any other: ONNX Runtime equals torch at three sizes."""

import numpy as np
import pytest
import torch
from torch import nn

from pruning.graph.groups import find_groups
from pruning.surgery import cut
from retrieval.descriptors.extract import describe_with
from retrieval.networks.network import POOLINGS, build_network
from retrieval.runtime.onnx_model import describe_in, open_session, to_onnx

EXAMPLE_NCHW = torch.zeros(1, 3, 64, 64)


def half_cut(network: nn.Module) -> nn.Module:
    groups = find_groups(network, EXAMPLE_NCHW)
    return cut(network, {g.id: range(0, g.width, 2) for g in groups if not g.locked}, EXAMPLE_NCHW)


@pytest.mark.slow
@pytest.mark.parametrize("head", [*POOLINGS, "reid"])
def test_onnx_equals_torch_at_three_sizes_once_cut(head: str) -> None:
    torch.manual_seed(0)
    network = build_network("mini_resnet", **({"classes": 4} if head == "reid" else {"pooling": head}))
    with torch.no_grad():
        network.train()(torch.randn(4, 3, 96, 96))  # statistics that were seen
    small = half_cut(network.eval())
    session = open_session(to_onnx(small, 64))
    for height, width in ((64, 64), (96, 64), (64, 128)):
        images = torch.randn(2, 3, height, width)
        onnx_ND, plain_ND = describe_in(session)(images), describe_with(small, torch.device("cpu"))(images)
        assert np.abs(onnx_ND - plain_ND).max() < 1e-5
