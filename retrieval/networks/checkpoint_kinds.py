"""The projects whose checkpoints people have, told apart by the names of their tensors.

What a file is, is known before it is compared with the network, so that a refusal names the right cause.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Put before every name by what wrapped a network while it trained: DataParallel, torch.compile, Lightning.
_WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.")
# Where training scripts put the state dict. Of DINO's pair the teacher is the one that is evaluated.
_PLACES = ("state_dict", "model_state_dict", "model", "net", "network", "teacher")


@dataclass(frozen=True)
class CheckpointKind:
    """A project's checkpoints.

    Attributes:
        title: of the project's network.
        signs: each name begins with one of these, in files of this kind at least one for each entry.
        why: it cannot be loaded here, and what can be done.
    """

    title: str
    signs: tuple[str, ...]
    why: str

    def fits(self, names: list[str]) -> bool:
        """Return whether a file with these names is of this kind."""
        return all(any(name.startswith(sign) for name in names) for sign in self.signs)


_NO_SUCH_HEAD = 'train that head here from weights = "imagenet", or export its backbone under torchvision\'s names'

FOREIGN = (
    CheckpointKind(
        "pytorch-NetVlad",
        ("encoder.", "pool.centroids"),
        "its NetVLAD reads features before the last ReLU, and ours behind it, so its descriptors would be others: "
        'pooling = "netvlad" with weights = "imagenet" trains one here',
    ),
    CheckpointKind(
        "deep-visual-geo-localization-benchmark (NetVLAD)",
        ("backbone.", "aggregation.centroids"),
        "its layers are numbered in another way and its NetVLAD is another: " + _NO_SUCH_HEAD,
    ),
    CheckpointKind(
        "CosPlace or EigenPlaces",
        ("backbone.", "aggregation.1.p", "aggregation.3.weight"),
        "it gives feature maps unit length before GeM, which no network here does: " + _NO_SUCH_HEAD,
    ),
    CheckpointKind(
        "deep-visual-geo-localization-benchmark",
        ("backbone.", "aggregation."),
        "it gives feature maps unit length before it pools them, which no network here does: " + _NO_SUCH_HEAD,
    ),
    CheckpointKind(
        "fast-reid",
        ("backbone.", "heads."),
        "its neck and its non-local blocks have no counterpart here: " + _NO_SUCH_HEAD,
    ),
    CheckpointKind(
        "a vision transformer (DINO, DINOv2, timm)",
        ("cls_token", "blocks."),
        "networks here are convolutional (network.name)",
    ),
    CheckpointKind(
        "a network with a classifier of Person_reID_baseline_pytorch",
        ("classifier.add_block.", "model."),
        "its names begin with model.: " + _NO_SUCH_HEAD,
    ),
    CheckpointKind(
        "OSNet of torchreid",
        ("conv1.conv.", "conv2.0."),
        "that backbone is none of network.name",
    ),
    CheckpointKind("a DINO network inside its multi-crop wrapper", ("backbone.", "head.mlp."), _NO_SUCH_HEAD),
)


def foreign_kind(names: list[str]) -> CheckpointKind | None:
    """Return the project that a state dict with these names is of; None where none of `FOREIGN` fits."""
    return next((kind for kind in FOREIGN if kind.fits(names)), None)


def find_state(contents: Any) -> Mapping[Any, Any] | None:
    """Return the state dict in what a file holds, its names without what wrapped the network; None without one."""
    while isinstance(contents, Mapping):
        place = next((key for key in _PLACES if isinstance(contents.get(key), Mapping)), None)
        if place is None:
            break
        contents = contents[place]
    if not isinstance(contents, Mapping) or not contents or not all(isinstance(name, str) for name in contents):
        return None
    while wrapper := next((each for each in _WRAPPERS if all(name.startswith(each) for name in contents)), None):
        contents = {name.removeprefix(wrapper): tensor for name, tensor in contents.items()}
    return contents
