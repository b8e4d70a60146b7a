"""The shape of a ResNet-18 as a list of layers: its groups, and exact costs for any widths, without a network.

Letters: L layers, G groups.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pruning.graph.groups import PrunableGroup

_IMAGE_CHANNELS, _DESCRIPTOR_SIZE = 3, 128
_WIDTHS, _SIDES = (64, 128, 256, 512), (56, 28, 14, 7)  # at the four resolutions, for images of 224 pixels
_BYTES, _HEADER_BYTES = 4, 12_000


@dataclass(frozen=True)
class Layer:
    """A convolution or linear layer.

    Attributes:
        name: of the layer.
        reads: the group that it reads; None for the image.
        writes: the group that it writes; None for the descriptor.
        taps: weights between a channel that it reads and one that it writes.
        positions: H·W of its output.
        resolution: which of the four it runs at.
    """

    name: str
    reads: str | None
    writes: str | None
    taps: int
    positions: int
    resolution: int

    def weights(self, widths: Mapping[str, int]) -> int:
        """Return the number of weights, given the kept channels of each group."""
        read = _IMAGE_CHANNELS if self.reads is None else widths[self.reads]
        written = _DESCRIPTOR_SIZE if self.writes is None else widths[self.writes]
        return self.taps * read * written


def resnet_layers() -> tuple[Layer, ...]:
    """Return ResNet-18 with a projection to the descriptor; shortcuts couple its layers to twelve groups."""
    before = "conv1"
    layers = [Layer("conv1", None, before, 49, 112**2, 0)]
    for resolution, side in enumerate(_SIDES):
        shared = before if resolution == 0 else f"layer{resolution + 1}.0.conv2"
        for block in (0, 1):
            name = f"layer{resolution + 1}.{block}"
            inner = f"{name}.conv1"
            layers.append(Layer(inner, before, inner, 9, side**2, resolution))
            layers.append(Layer(f"{name}.conv2", inner, shared, 9, side**2, resolution))
            if before != shared:
                layers.append(Layer(f"{name}.downsample", before, shared, 1, side**2, resolution))
            before = shared
    return (*layers, Layer("projection", before, None, 1, 1, len(_SIDES) - 1))


def build_groups(layers: tuple[Layer, ...]) -> tuple[PrunableGroup, ...]:
    """Return the groups of the layers, in network order."""
    return tuple(_group(name, layers) for name in dict.fromkeys(layer.writes for layer in layers) if name is not None)


def counted(layers: tuple[Layer, ...], widths: Mapping[str, int]) -> dict[str, float]:
    """Return parameters (with a BatchNorm for each convolution), multiply-adds and bytes, given the kept channels."""
    written = sum(widths[layer.writes] for layer in layers if layer.writes is not None)
    parameters = sum(layer.weights(widths) for layer in layers) + 2 * written
    return {
        "parameters": float(parameters),
        "macs": float(sum(layer.positions * layer.weights(widths) for layer in layers)),
        "size_bytes": float(_HEADER_BYTES + _BYTES * (parameters + 2 * written)),
    }


def _group(name: str, layers: tuple[Layer, ...]) -> PrunableGroup:
    writers = [layer for layer in layers if layer.writes == name]
    readers = tuple(layer.name for layer in layers if layer.reads == name)
    resolution = writers[-1].resolution
    return PrunableGroup(
        id=name,
        members=tuple(layer.name for layer in writers),
        norms=(),
        norm_starts=(),
        width=_WIDTHS[resolution],
        locked=False,
        residual=len(writers) > 1,
        resolution=resolution,
        readers=readers,
        reader_spans=(1,) * len(readers),
    )
