"""The network as it is delivered, scored, exported and timed: at its scales, and with its whitening behind it."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from retrieval.descriptors.extract import describe_with
from retrieval.networks.multiscale import MultiScale, power_of
from retrieval.networks.reid import ReIDNetwork
from retrieval.networks.whitening import Whitened, Whitening, fit_whitening
from trainables.data import SweepData
from trainables.settings import DescriptorSettings, TrialSettings

_INNER, _MEAN, _PROJECTION = "network.", "whitening.mean_D", "whitening.projection_KD"


def deliver(
    network: nn.Module,
    settings: TrialSettings,
    data: SweepData,
    device: torch.device,
    whitening: Whitening | None = None,
) -> nn.Module:
    """Put scales and whitening around a trained network on `device`.

    The whitening is fitted to this network's own descriptors of training images, unless one is given.
    """
    seen = _at_scales(network, settings.descriptor)
    kind = settings.descriptor.whitening
    if kind == "none":
        return seen
    if whitening is None:
        whitening = fit_whitening(
            describe_with(seen, device, autocast=settings.evaluation.half_on(device)),
            data.train,
            data.reader,
            kind=kind,
            size=settings.descriptor.size,
            images=settings.descriptor.images,
            seed=settings.dense.seed,
        )
    return Whitened(seen, whitening.to(device))


def check_whitening(settings: DescriptorSettings, descriptor_size: int, training_images: int) -> None:
    """Raise ValueError where a whitening of descriptors of this size cannot be fitted to so many images."""
    size = settings.size or descriptor_size
    if size > descriptor_size:
        raise ValueError(f"descriptor.size is {size}, but the network's descriptor has {descriptor_size} numbers")
    if min(training_images, settings.images) <= size:
        raise ValueError(
            f"whitening to {size} numbers needs more images than that: there are {training_images} to train on, "
            f"descriptor.images is {settings.images}"
        )


def rebuild(network: nn.Module, settings: DescriptorSettings, weights: Mapping[str, Tensor]) -> nn.Module:
    """A delivered network again, from the state dict of one and a network of its inner shape; in eval mode.

    Raises:
        RuntimeError: the weights are those of another shape.
    """
    outer = prefix_of(settings)
    drop_training_head_(network)
    network.load_state_dict(
        {name.removeprefix(outer): each for name, each in weights.items() if name.startswith(outer)}
    )
    seen = _at_scales(network, settings)  # only now: its power is one of the weights
    if settings.whitening != "none":
        seen = Whitened(seen, Whitening(weights[_MEAN], weights[_PROJECTION]))
    return seen.eval()


def drop_training_head_(delivered: nn.Module) -> nn.Module:
    """Take out what only training needs: the classifier of re-identification is neither shipped nor counted."""
    network = inner(delivered)
    if isinstance(network, ReIDNetwork):
        network.classifier = nn.Identity()  # type: ignore[assignment]
    return delivered


def inner(delivered: nn.Module) -> nn.Module:
    """The network within what is delivered."""
    while isinstance(delivered, (Whitened, MultiScale)):
        delivered = delivered.network
    return delivered


def whitening_of(delivered: nn.Module) -> Whitening | None:
    """The whitening behind a delivered network, None where it has none."""
    return delivered.whitening if isinstance(delivered, Whitened) else None


def shared_whitening(dense: nn.Module, settings: TrialSettings) -> Whitening | None:
    """The whitening that networks cut from a dense one, given as delivered, take over; None: each has one of its own.

    Against the dense network's gallery, queries must live in its space.
    """
    return whitening_of(dense) if settings.evaluation.gallery == "dense" else None


def prefix_of(settings: DescriptorSettings) -> str:
    """What stands before the names of the inner network's weights in the state dict of the delivered one."""
    return _INNER * ((settings.scales != (1.0,)) + (settings.whitening != "none"))


def _at_scales(network: nn.Module, settings: DescriptorSettings) -> nn.Module:
    if settings.scales == (1.0,):
        return network
    return MultiScale(network, settings.scales, power_of(network))
