"""What a network costs, counted and not timed: parameters, multiply-adds, bytes.

Letters: N images, C channels, H W image size.
"""

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.utils.flop_counter import FlopCounterMode


class Cost(BaseModel):
    """Exact costs of one network.

    Attributes:
        parameters: numbers that training can change, or could if they were not frozen.
        macs: multiply-adds of one forward pass over the example, for all its images together.
        size_bytes: length of a safetensors file that holds its weights and buffers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: int = Field(ge=0)
    macs: int = Field(ge=0)
    size_bytes: int = Field(gt=0)


def cost_of(network: nn.Module, example_NCHW: Tensor) -> Cost:
    """Count parameters, multiply-adds and bytes; `macs` for the whole batch of the example."""
    return Cost(
        parameters=count_parameters(network),
        macs=count_macs(network, example_NCHW),
        size_bytes=size_bytes(network),
    )


def count_parameters(network: nn.Module) -> int:
    """Count the numbers in all parameters, frozen ones too; shared ones once; buffers (running statistics) not."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: nn.Module, example_NCHW: Tensor) -> int:
    """Count the multiply-adds of one forward pass over the whole batch, in convolutions and matrix products.

    Additions of biases, BatchNorm, activations and pooling are not counted. The network is not changed.
    """
    return _count_flops(network, example_NCHW).get_total_flops() // 2


def macs_by_layer(network: nn.Module, example_NCHW: Tensor) -> dict[str, int]:
    """Return layer name → its multiply-adds in one forward pass over the whole batch.

    Convolutions and linear layers only, in network order; those that do not run are left out. What
    `count_macs` counts beyond their sum are matrix products between activations. The network is not changed.
    """
    flops = _count_flops(network, example_NCHW).get_flop_counts()
    # The counter puts the class of the whole network before each name.
    totals = {name.partition(".")[2]: sum(counts.values()) for name, counts in flops.items() if name != "Global"}
    layers = [name for name, layer in network.named_modules() if isinstance(layer, (_ConvNd, nn.Linear))]
    return {name: totals[name] // 2 for name in layers if name in totals}


def _count_flops(network: nn.Module, example_NCHW: Tensor) -> FlopCounterMode:
    """Run the network in evaluation mode under a counter, which sees two operations in a multiply-add."""
    training = {module: module.training for module in network.modules()}
    device = next((parameter.device for parameter in network.parameters()), example_NCHW.device)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network.eval()(example_NCHW.to(device))
    finally:
        for module, flag in training.items():
            module.training = flag
    return counter


def size_bytes(network: nn.Module) -> int:
    """Return the length in bytes of a safetensors file of the network's `state_dict`: header, weights and buffers.

    Raises:
        RuntimeError: two names share one tensor, so that safetensors could not write such a file.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return len(safetensors.torch.save(tensors))
