"""The calls that all losses have in common.

Letters: N images, D descriptor size.
"""

from collections.abc import Sequence

from torch import Tensor, nn


class Loss(nn.Module):
    """A quantity that a training minimises: `loss(*loss.outputs(network, images), labels)`.

    Most losses take the descriptors alone and have no parameters of their own.
    """

    @property
    def descriptor_size(self) -> int | None:
        """D of the descriptors that it takes; None where any will do."""
        return None

    def outputs(self, network: nn.Module, images_NCHW: Tensor) -> tuple[Tensor, ...]:
        """Return what it takes of the network, the descriptors N×D first."""
        return (network(images_NCHW),)

    def keep_(self, columns: Sequence[int]) -> None:
        """Keep only these columns of the descriptor, in this order: the network's other last channels were removed."""
