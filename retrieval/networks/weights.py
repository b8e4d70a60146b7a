"""Pretrained weights: torchvision's by name, or a file of ours, of torchvision or of cirtorch, told apart by its keys.

cirtorch is https://github.com/filipradenovic/cnnimageretrieval-pytorch, the code of Radenović, Tolias, Chum,
"Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2019.
"""

import logging
import re
import shlex
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from retrieval.datasets.safe_readers.restricted_pickle import settle
from retrieval.images import IMAGENET_MEAN, IMAGENET_STD
from retrieval.networks.checkpoint_kinds import find_state, foreign_kind
from retrieval.networks.pooling import MAC, RMAC, GeM, SPoC
from retrieval.networks.safe_types import SAFE_GLOBALS
from retrieval.networks.torchvision_features import Features, fetch_published, published_file
from retrieval.text import name_few, one_line

State = dict[str, Tensor]

_log = logging.getLogger(__name__)
_POOLINGS: dict[str, type[nn.Module]] = {"gem": GeM, "mac": MAC, "spoc": SPoC, "rmac": RMAC}  # by cirtorch's names
# Written by BatchNorm since torch 0.4.1; older files lack it, and nothing of ours reads it.
_COUNTER = ".num_batches_tracked"
# To be run where the file is trusted: it keeps the tensors alone.
_CONVERT = (
    "import torch; c = torch.load({source!r}, map_location='cpu', weights_only=False); "
    "c = c.get('state_dict', c.get('model', c)) if isinstance(c, dict) else c; "
    "c = c.state_dict() if hasattr(c, 'state_dict') else c; torch.save(dict(c), {target!r})"
)


def load_weights(network: nn.Module, weights: str | Path | None) -> None:
    """Give a network its starting weights, in place.

    A file (.safetensors, or what torch.save writes; never code) is known by its keys, a "module." or the like before
    each and a surrounding "state_dict" or the like aside (`retrieval.networks.checkpoint_kinds`):

    - ours: a whole network's state dict, taken whole;
    - torchvision's: its backbone is taken, its classifier is not;
    - cirtorch's: features, exponent of GeM, and the whitening layer as our projection over a pooled vector of unit
      length (`unit_pooled`). The learned whitening in its meta data (Lw) is not taken: it is fitted anew.

    Args:
        network: of `retrieval.networks.network.build_network`.
        weights: None or "random" leaves the network as it is; "imagenet" for torchvision's weights of the backbone,
            fetched on first use; or a file.

    Raises:
        ValueError: weights that do not exist, cannot be fetched or read, or do not fit; one line each.
    """
    if weights in (None, "random"):
        return
    path = _imagenet_file(network) if weights == "imagenet" else Path(str(weights))
    contents = _read(path)
    state = _state_in(contents)
    if state is None:
        raise ValueError(f"weights file {path} cannot be read: it holds no state dict")
    check_finite(state, path)
    if kind := foreign_kind(list(state)):
        asked = type(network.get_submodule("pooling")).__name__
        raise ValueError(
            f"weights file {path} is of {kind.title}, and the network is {_name_of(network)} with {asked}: {kind.why}"
        )
    expected: State = network.state_dict()
    if any(name.startswith("backbone.") for name in state):
        own_state = state
    elif _is_of_cirtorch(contents, state):
        own_state = _completed(_from_cirtorch(network, state, _meta(contents), path), expected)
    else:
        own_state = _completed(_from_torchvision(network, state, path), expected)
    if difference := _difference(own_state, expected):
        raise ValueError(f"weights file {path} does not fit the network: {difference}")
    network.load_state_dict(own_state)


def published_weights(architecture: str) -> Path:
    """Return the file of torchvision's ImageNet weights for a network, fetched when it is not there yet.

    Args:
        architecture: torchvision's name, as "resnet50".

    Raises:
        ValueError: they cannot be fetched: says what to put where.
    """
    file = published_file(architecture)
    try:
        fetch_published(architecture)
    except (OSError, HTTPException, RuntimeError) as error:
        raise ValueError(
            f"imagenet weights of {architecture} cannot be fetched ({one_line(error)}): put {file.name} "
            f"of download.pytorch.org/models into {file.parent}, or name a local file as network.weights"
        ) from error
    return file


def _name_of(network: nn.Module) -> str:
    backbone = network.get_submodule("backbone")
    return str(getattr(backbone, "architecture", type(backbone).__name__))


def _imagenet_file(network: nn.Module) -> Path:
    backbone = network.get_submodule("backbone")
    if not isinstance(backbone, Features):
        name = type(backbone).__name__
        raise ValueError(f"{name} has no imagenet weights: leave weights out, or name a file")
    return published_weights(backbone.architecture)


def _read(path: Path) -> Any:
    """Read a file without running anything in it."""
    if not path.is_file():
        raise ValueError(f"weights file {path} does not exist")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with torch.serialization.safe_globals(SAFE_GLOBALS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes the reader raise nearly anything
        asked = re.search(r"GLOBAL (\S+)", str(error))
        why = f"it asks for {asked[1]}, {_way_out(path)}" if asked else "it is damaged, or holds no weights"
        raise ValueError(f"weights file {path} cannot be read: {why}") from error


def _way_out(path: Path) -> str:
    """Return what can be done with a file that holds objects of a program's own, which reading would run."""
    target = str(path.with_name(f"{path.stem}-weights.pth"))
    command = f"python -c {shlex.quote(_CONVERT.format(source=str(path), target=target))}"
    return f"which weights never need; if you trust the file, this keeps its weights, where its program is: {command}"


def _state_in(contents: Any) -> State | None:
    """Return the state dict in what a file holds, without the prefix of a network that was wrapped while it trained."""
    state = find_state(contents)
    if state is None or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        return None
    return dict(state)


def check_finite(state: Mapping[str, Tensor], path: Path) -> None:
    """Check that weights are numbers.

    Args:
        state: by name.
        path: the file that they are from, for the message.

    Raises:
        ValueError: a tensor holds NaN or infinity; names the first and counts them.
    """
    wrong = [name for name, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if wrong:
        raise ValueError(
            f"weights file {path} holds values that are no numbers (NaN or infinity), first in {wrong[0]} "
            f"({len(wrong)} of {len(state)} tensors): the training that wrote it diverged, or the file is damaged"
        )


def _from_torchvision(network: nn.Module, state: State, path: Path) -> State:
    """Return the backbone's weights out of a whole classification network."""
    prefix = getattr(network.get_submodule("backbone"), "prefix", "")
    names = {f"{prefix}{name}": f"backbone.{name}" for name in network.get_submodule("backbone").state_dict()}
    unused = [name for name in state if name not in names]
    if len(unused) == len(state):
        raise ValueError(f"weights file {path} does not fit the network: none of its {len(state)} names is known")
    # A deeper network has all names of a shallower one: what is left over must be the classifier alone.
    if strange := [name for name in unused if not name.startswith(("fc.", "classifier."))]:
        raise ValueError(f"weights file {path} does not fit the network: it has {name_few(strange)} as well")
    if unused:
        _log.info("%s: the backbone is loaded, %s is not", path, name_few(unused))
    return {names[name]: tensor for name, tensor in state.items() if name in names}


def _meta(contents: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a file of cirtorch says of its network; empty for other files."""
    meta = contents.get("meta")
    return meta if isinstance(meta, Mapping) else {}


def _is_of_cirtorch(contents: Mapping[str, Any], state: State) -> bool:
    return "architecture" in _meta(contents) or any(name.startswith(("pool.", "whiten.", "lwhiten.")) for name in state)


def _from_cirtorch(network: nn.Module, state: State, meta: Mapping[str, Any], path: Path) -> State:
    """Return a checkpoint of cirtorch under our names; its layers are numbered in torchvision's order, as ours are."""
    _check_cirtorch(network, state, meta, path)
    names = {"pool.p": "pooling.p", "whiten.weight": "projection.weight", "whiten.bias": "projection.bias"}
    for index, (child, layer) in enumerate(network.get_submodule("backbone").named_children()):
        for name in layer.state_dict():
            names[f"features.{index}.{name}"] = f"backbone.{child}.{name}"
    if strange := [name for name in state if name not in names]:
        raise ValueError(f"weights file {path} does not fit the network: it has {name_few(strange)} as well")
    if "Lw" in meta:
        _log.info("%s: its learned whitening (Lw) is not taken, whitening is fitted anew", path)
    # The exponent of GeM is one number there too, in a list.
    return {names[name]: tensor.reshape(()) if name == "pool.p" else tensor for name, tensor in state.items()}


def _check_cirtorch(network: nn.Module, state: State, meta: Mapping[str, Any], path: Path) -> None:
    """Refuse a checkpoint of another network than this one, saying which settings make that network."""
    if any(name.startswith(("lwhiten.", "pool.rpool.", "pool.whiten.")) for name in state):
        raise ValueError(f"weights file {path} holds a cirtorch network that whitens regions: there is none such here")
    # Arrays come as stand-ins of the restricted reader.
    normalised = tuple(settle(meta.get(key, own), {}) for key, own in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)))
    if not np.allclose(np.array(normalised, dtype=float), (IMAGENET_MEAN, IMAGENET_STD)):
        raise ValueError(
            f"weights file {path} is for images normalised by mean and deviation {normalised}: ours differ"
        )
    backbone, projection = network.get_submodule("backbone"), network.get_submodule("projection")
    architecture = str(meta.get("architecture", getattr(backbone, "architecture", None)))
    pooling = str(meta.get("pooling", "gem" if "pool.p" in state else "mac"))
    size = len(state["whiten.bias"]) if "whiten.bias" in state else None
    fits = (
        architecture == getattr(backbone, "architecture", None)
        and type(network.get_submodule("pooling")) is _POOLINGS.get(pooling)
        and size == getattr(projection, "out_features", None)
        and getattr(network, "unit_pooled", False) == (size is not None)
    )
    if not fits:
        settings = f'name = "{architecture}", pooling = "{pooling}", ' + (
            f"descriptor_size = {size}, unit_pooled = true" if size else "no descriptor_size"
        )
        raise ValueError(f"weights file {path} holds a cirtorch network that fits [network] with {settings}")


def _completed(loaded: State, expected: State) -> State:
    """Return the state with the network's own counters and heads where another project's file has none."""
    own = {name: tensor for name, tensor in expected.items() if _COUNTER in name or not name.startswith("backbone.")}
    return {**own, **loaded}


def _difference(loaded: State, expected: State) -> str:
    """Return the difference between two state dicts in a few words; an empty text when they fit."""
    if missing := [name for name in expected if name not in loaded]:
        return f"it lacks {name_few(missing)}"
    if strange := [name for name in loaded if name not in expected]:
        return f"it has {name_few(strange)} as well"
    for name, tensor in expected.items():
        if loaded[name].shape != tensor.shape:
            return f"{name} is {tuple(loaded[name].shape)} in the file and {tuple(tensor.shape)} in the network"
    return ""
