"""The network as it is delivered, scored, exported and timed: at several image scales, followed by a whitening."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from retrieval.datasets.base import TrainingSet
from retrieval.descriptors.extract import describe_with
from retrieval.networks.multiscale import MultiScale, power_of
from retrieval.networks.reid import ReIDNetwork
from retrieval.networks.whitening import Whitened, Whitening, draw_sample, fit_whitening
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
    """Wrap a trained network in its scales and its whitening.

    Args:
        network: on `device`; becomes part of what is returned.
        settings: of the sweep.
        data: of the sweep.
        device: where descriptors are computed.
        whitening: None fits one to this network's own descriptors of training images.
    """
    seen = _at_scales(network, settings.descriptor)
    kind = settings.descriptor.whitening
    if kind == "none":
        return seen
    if whitening is None:
        whitening = fit_whitening(
            describe_with(seen, device, autocast=settings.evaluation.half_on(device)),
            data.train,
            data.reader_of(data.train),
            kind=kind,
            size=settings.descriptor.size,
            images=settings.descriptor.images,
            seed=settings.dense.seed,
        )
    return Whitened(seen, whitening.to(device))


def check_whitening(settings: TrialSettings, descriptor_size: int, training_set: TrainingSet) -> None:
    """Refuse a whitening that cannot be fitted.

    Args:
        settings: of the sweep.
        descriptor_size: of the network.
        training_set: whose images it is to be fitted to.

    Raises:
        ValueError: the descriptor is smaller than asked for, or there are too few images or no pairs.
    """
    wanted = settings.descriptor
    if wanted.whitening == "none":
        return
    size = wanted.size or descriptor_size
    if size > descriptor_size:
        raise ValueError(f"descriptor.size is {size}, but the network's descriptor has {descriptor_size} numbers")
    sample = draw_sample(training_set, kind=wanted.whitening, images=wanted.images, seed=settings.dense.seed)
    if len(sample.chosen_N) <= size:
        paired = " in pairs that match" if wanted.whitening == "lw" else ""
        raise ValueError(
            f"whitening to {size} numbers needs more images than that: there are {len(sample.chosen_N)}{paired} to fit "
            f"it to, of {len(training_set.images)} to train on; descriptor.images is {wanted.images}"
        )


def rebuild(network: nn.Module, settings: DescriptorSettings, weights: Mapping[str, Tensor]) -> nn.Module:
    """Rebuild a delivered network from its state dict.

    Args:
        network: of the inner network's shape; becomes part of what is returned.
        settings: its scales and whitening.
        weights: the state dict.

    Returns:
        The delivered network, in eval mode.

    Raises:
        RuntimeError: the weights are those of another shape.
    """
    outer = prefix_of(settings)
    drop_training_head_(network)
    network.load_state_dict(
        {name.removeprefix(outer): each for name, each in weights.items() if name.startswith(outer)}
    )
    seen = _at_scales(network, settings)  # after loading: the power by which scales are averaged is a weight
    if settings.whitening != "none":
        seen = Whitened(seen, Whitening(weights[_MEAN], weights[_PROJECTION]))
    return seen.eval()


def with_blank_delivery(network: nn.Module, settings: DescriptorSettings, descriptor_size: int) -> nn.Module:
    """Return a network with its scales and a whitening of zeros around it: the shapes of what will be delivered.

    Args:
        network: the network itself, trained or not.
        settings: scales and whitening.
        descriptor_size: D of the network.
    """
    seen = _at_scales(network, settings)
    if settings.whitening == "none":
        return seen
    size = settings.size or descriptor_size
    return Whitened(seen, Whitening(torch.zeros(descriptor_size), torch.zeros(size, descriptor_size)))


def drop_training_head_(delivered: nn.Module) -> nn.Module:
    """Remove what only training needs: the classifier of re-identification is neither shipped nor counted."""
    network = inner(delivered)
    if isinstance(network, ReIDNetwork):
        network.classifier = nn.Identity()  # type: ignore[assignment]
    return delivered


def inner(delivered: nn.Module) -> nn.Module:
    """Return the network inside its scales and whitening."""
    while isinstance(delivered, (Whitened, MultiScale)):
        delivered = delivered.network
    return delivered


def whitening_of(delivered: nn.Module) -> Whitening | None:
    """Return the whitening of a delivered network; None where it has none."""
    return delivered.whitening if isinstance(delivered, Whitened) else None


def shared_whitening(dense: nn.Module, settings: TrialSettings) -> Whitening | None:
    """Return the whitening that networks cut from the dense one share with it; None where each fits its own.

    Queries that are compared with the dense network's gallery must be descriptors in the same space.

    Args:
        dense: as delivered.
        settings: of the sweep.
    """
    return whitening_of(dense) if settings.evaluation.gallery == "dense" else None


def prefix_of(settings: DescriptorSettings) -> str:
    """Return the prefix of the inner network's weights in the state dict of the delivered one."""
    return _INNER * ((settings.scales != (1.0,)) + (settings.whitening != "none"))


def _at_scales(network: nn.Module, settings: DescriptorSettings) -> nn.Module:
    if settings.scales == (1.0,):
        return network
    return MultiScale(network, settings.scales, power_of(network))
