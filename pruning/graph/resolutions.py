"""The resolutions of a network: runs of layers of equal feature map size, found by running it.

Letters: H W height and width of a feature map.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate
from math import prod
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd


@contextmanager
def areas_recorded(network: nn.Module) -> Iterator[dict[str, int]]:
    """Record H·W of each convolution's output, in the order in which they run, for as long as the context lasts.

    Linear layers count as convolutions over as many positions as they have rows an image: 1 behind pooling.
    A layer that runs several times is noted where it ran last.
    """
    areas: dict[str, int] = {}
    layers = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, (_ConvNd, nn.Linear))]
    hooks = [layer.register_forward_hook(_noting(areas, name)) for name, layer in layers]
    try:
        yield areas
    finally:
        for hook in hooks:
            hook.remove()


def number_resolutions(areas: Mapping[str, int]) -> dict[str, int]:
    """Number the runs of layers of equal resolution, from 0 at the highest; layer name → resolution.

    Args:
        areas: H·W of each layer's output, in the order in which they run. A layer of lower resolution than one that
            runs later (the two in squeeze-and-excitation) stands where the later one does.
    """
    highest_to_come = list(accumulate(reversed(list(areas.values())), max))[::-1]
    numbers = {area: number for number, area in enumerate(dict.fromkeys(highest_to_come))}
    return {name: numbers[area] for name, area in zip(areas, highest_to_come, strict=True)}


def _noting(areas: dict[str, int], name: str) -> Callable[[nn.Module, Any, Tensor], None]:
    def note(layer: nn.Module, _: Any, output: Tensor) -> None:
        areas.pop(name, None)  # the last run decides, for the order too
        areas[name] = prod(output.shape[1:-1] if isinstance(layer, nn.Linear) else output.shape[2:])

    return note
