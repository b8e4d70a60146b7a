"""Weights of ours, of torchvision and of cirtorch, read back into every family of backbones."""

import argparse
import collections
import datetime
import logging
import os
import pickle
import shlex
import zipfile
from functools import cache
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import get_model, get_model_weights

from retrieval.networks.network import BACKBONES, build_network
from retrieval.networks.pooling import gem
from retrieval.networks.weights import load_weights

FAMILIES = ("resnet18", "resnet50", "vgg16", "alexnet", "mobilenet_v2", "mobilenet_v3_large")
OF_CIRTORCH = {"resnet18": -2, "alexnet": -1}  # network → which of its children end the features


@cache
def torchvision_state(name: str) -> dict[str, torch.Tensor]:
    """A whole classification network, with a narrow classifier to save time."""
    torch.manual_seed(1)
    state = get_model(name, weights=None, num_classes=2).state_dict()
    # torchvision's dense layers are most of a VGG or AlexNet, and none of ours.
    return {key: tensor[:1] if key.startswith("classifier.") else tensor for key, tensor in state.items()}


class OfCirtorch(nn.Module):
    """cirtorch's network, as its paper and its file have it: features, GeM, unit length, whitening, unit length."""

    def __init__(self, name: str, whitening: bool) -> None:
        super().__init__()
        whole = get_model(name, weights=None)
        layers = list((whole if name.startswith("resnet") else whole.features).children())[: OF_CIRTORCH[name]]
        self.features = nn.Sequential(*layers)
        self.pool = nn.Module()
        self.pool.p = nn.Parameter(torch.ones(1) * 2.5)
        width = [layer.out_channels for layer in self.features.modules() if isinstance(layer, nn.Conv2d)][-1]
        self.whiten = nn.Linear(width, width) if whitening else None
        self.meta = {
            "architecture": name,
            "pooling": "gem",
            "whitening": whitening,
            "regional": False,
            "local_whitening": False,
            "outputdim": width,
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
            "Lw": {"retrieval-SfM-120k": {"ss": {"m": np.zeros((4, 1)), "P": np.eye(4, dtype=np.float32)}}},
        }

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = F.normalize(gem(self.features(x), self.pool.p), dim=1)
        return pooled if self.whiten is None else F.normalize(self.whiten(pooled), dim=1)

    def save(self, path: Path, **meta: object) -> Path:
        torch.save({"meta": {**self.meta, **meta}, "state_dict": self.state_dict(), "epoch": 30}, path)
        return path


def refusal(network: nn.Module, weights: str | Path) -> str:
    with pytest.raises(ValueError, match="weights") as caught:
        load_weights(network, weights)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """The folder of published weights, empty, and no way to fetch any."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    return tmp_path / "home" / "hub" / "checkpoints"


@pytest.mark.parametrize("name", ["mini_resnet", *FAMILIES])
def test_our_own_state_comes_back_from_either_kind_of_file(tmp_path, name):
    network = build_network(name, descriptor_size=8)
    for file, save in (("w.safetensors", safetensors.torch.save_file), ("w.pth.tar", torch.save)):
        save(network.state_dict(), tmp_path / file)
        loaded = build_network(name, descriptor_size=8, weights=tmp_path / file)
        assert all(torch.equal(a, b) for a, b in zip(network.parameters(), loaded.parameters(), strict=True))


@pytest.mark.parametrize(
    ("name", "wrapped"),
    [*((name, "plain") for name in FAMILIES), *(("resnet18", how) for how in ("parallel", "state_dict", "model"))],
)
def test_the_backbone_of_torchvisions_whole_network_is_taken(tmp_path, name, wrapped, caplog):
    state = torchvision_state(name)
    parallel = {f"module.{key}": tensor for key, tensor in state.items()}
    contents = {"plain": state, "parallel": parallel, "state_dict": {"state_dict": parallel}, "model": {"model": state}}
    torch.save(contents[wrapped], tmp_path / "w.pth")
    network = build_network(name, descriptor_size=8)
    projection = network.projection.weight.clone()
    with caplog.at_level(logging.INFO):
        load_weights(network, tmp_path / "w.pth")
    loaded = network.backbone.state_dict()
    prefix = "" if name.startswith("resnet") else "features."
    assert all(torch.equal(tensor, state[prefix + key]) for key, tensor in loaded.items())
    assert torch.equal(network.projection.weight, projection)
    assert ("fc.weight" if name.startswith("resnet") else "classifier.") in caplog.text


def test_a_file_older_than_the_counters_of_batchnorm_loads(tmp_path):
    state = {key: tensor for key, tensor in torchvision_state("resnet18").items() if "num_batches" not in key}
    torch.save(state, tmp_path / "w.pth")
    network = build_network("resnet18", weights=tmp_path / "w.pth")
    assert torch.equal(network.backbone.conv1.weight, state["conv1.weight"])
    del state["layer1.0.conv1.weight"]
    torch.save(state, tmp_path / "w.pth")
    assert "lacks backbone.layer1.0.conv1.weight" in refusal(network, tmp_path / "w.pth")


@pytest.mark.parametrize("name", OF_CIRTORCH)
@pytest.mark.parametrize("whitening", [False, True])
def test_a_checkpoint_of_cirtorch_gives_its_own_descriptors(tmp_path, name, whitening):
    torch.manual_seed(2)
    theirs = OfCirtorch(name, whitening).eval()
    size = theirs.meta["outputdim"] if whitening else None
    weights = theirs.save(tmp_path / "w.pth")
    network = build_network(name, descriptor_size=size, unit_pooled=whitening, weights=weights).eval()
    images = torch.randn(2, 3, 96, 128)
    with torch.no_grad():
        assert torch.allclose(network(images), theirs(images), atol=1e-6)
    assert network.pooling.p == 2.5


@pytest.mark.parametrize(
    ("settings", "meta", "message"),
    [
        ({}, {}, 'name = "resnet18", pooling = "gem", descriptor_size = 512, unit_pooled = true'),
        ({"descriptor_size": 512}, {}, "unit_pooled = true"),
        ({"descriptor_size": 64, "unit_pooled": True}, {}, "descriptor_size = 512"),
        ({"pooling": "mac", "descriptor_size": 512, "unit_pooled": True}, {}, 'pooling = "gem"'),
        ({"descriptor_size": 512, "unit_pooled": True}, {"architecture": "resnet34"}, 'name = "resnet34"'),
        ({"descriptor_size": 512, "unit_pooled": True}, {"mean": [0.5, 0.5, 0.5]}, "normalised by mean"),
    ],
)
def test_a_checkpoint_of_another_network_says_which_settings_fit(tmp_path, settings, meta, message):
    weights = OfCirtorch("resnet18", whitening=True).save(tmp_path / "w.pth", **meta)
    assert message in refusal(build_network("resnet18", **settings), weights)


def test_a_checkpoint_that_whitens_regions_is_refused(tmp_path):
    theirs = OfCirtorch("resnet18", whitening=False)
    theirs.lwhiten = nn.Linear(4, 4)
    assert "whitens regions" in refusal(build_network("resnet18"), theirs.save(tmp_path / "w.pth"))


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_that_cannot_be_fetched_say_what_to_put_where(published, name):
    file = get_model_weights(name).DEFAULT.url.rpartition("/")[2]
    message = refusal(build_network(name), "imagenet")
    assert f"imagenet weights of {name} cannot be fetched" in message
    assert f"put {file} of download.pytorch.org/models into {published}, or name a local file" in message


@pytest.mark.parametrize("name", ["resnet18", "alexnet", "mobilenet_v2"])
def test_published_weights_that_were_put_there_load_without_a_network(published, name):
    state = torchvision_state(name)
    published.mkdir(parents=True)
    torch.save(state, published / get_model_weights(name).DEFAULT.url.rpartition("/")[2])
    network = build_network(name, weights="imagenet")
    first = next(iter(state))
    assert torch.equal(next(iter(network.backbone.parameters())), state[first])


def test_a_published_file_that_is_damaged_is_named(published):
    published.mkdir(parents=True)
    file = published / "resnet18-f37072fd.pth"
    torch.save(torchvision_state("resnet18"), file)
    file.write_bytes(file.read_bytes()[:-1000])
    assert f"{file} cannot be read: it is damaged" in refusal(build_network("resnet18"), "imagenet")


def test_weights_that_nobody_published_are_refused():
    assert "has no imagenet weights" in refusal(build_network("mini_resnet"), "imagenet")


@pytest.mark.parametrize("weights", [None, "random"])
def test_a_random_start_leaves_the_network_as_it_was_drawn(weights):
    torch.manual_seed(3)
    expected = build_network("mini_resnet").state_dict()
    torch.manual_seed(3)
    state = build_network("mini_resnet", weights=weights).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in state.items())


def test_weights_that_do_not_fit_say_where(tmp_path):
    small, path = build_network("mini_resnet"), tmp_path / "w.safetensors"
    safetensors.torch.save_file(small.state_dict(), path)
    large = build_network("mini_resnet", descriptor_size=8)
    assert "it lacks projection.weight, projection.bias" in refusal(large, path)
    safetensors.torch.save_file(large.state_dict(), path)
    message = refusal(small, path)
    assert "it has projection." in message
    assert message.endswith(" as well")
    wider = build_network("mini_resnet", descriptor_size=16)
    assert "projection.weight is (8, 128) in the file and (16, 128) in the network" in refusal(wider, path)


@pytest.mark.parametrize(
    ("found", "wanted"), [("resnet50", "resnet18"), ("resnet18", "resnet34"), ("vgg16", "alexnet")]
)
def test_another_network_of_torchvision_is_refused(tmp_path, found, wanted):
    torch.save(torchvision_state(found), tmp_path / "w.pth")
    assert "does not fit the network" in refusal(build_network(wanted), tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["none.safetensors", "none.pth", ""])
def test_a_file_that_is_not_there_is_named(tmp_path, name):
    assert "does not exist" in refusal(build_network("mini_resnet"), tmp_path / name)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.999])
def test_a_file_cut_short_is_named(tmp_path, name, kept):
    network = build_network("mini_resnet")
    save = safetensors.torch.save_file if name.endswith("s") else torch.save
    save(network.state_dict(), tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(kept * len(whole)) if kept < 1 else kept])
    assert f"{name} cannot be read" in refusal(network, tmp_path / name)


@pytest.mark.parametrize("contents", [[1, 2], {}, {"a": 1}, {"state_dict": 3}, {1: torch.zeros(1)}], ids=str)
def test_a_file_without_a_state_dict_is_refused(tmp_path, contents):
    torch.save(contents, tmp_path / "w.pth")
    assert "holds no state dict" in refusal(build_network("mini_resnet"), tmp_path / "w.pth")


def test_a_state_dict_of_something_else_is_refused(tmp_path):
    torch.save({"encoder.weight": torch.zeros(2)}, tmp_path / "w.pth")
    assert "none of its 1 names is known" in refusal(build_network("resnet18"), tmp_path / "w.pth")


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.victim),)


@pytest.mark.parametrize("layout", ["zip", "legacy", "pickle"])
@pytest.mark.parametrize("place", ["state_dict", "meta"])
def test_a_pickle_that_asks_for_code_is_refused_and_runs_nothing(tmp_path, layout, place):
    victim, path = tmp_path / "made", tmp_path / "w.pth"
    contents = {"state_dict": {"features.0.weight": torch.zeros(1)}, "meta": {"architecture": "resnet18"}}
    contents[place] = {**contents[place], "x": Malicious(victim)}
    if layout == "pickle":
        path.write_bytes(pickle.dumps(contents, protocol=2))
    else:
        torch.save(contents, path, _use_new_zipfile_serialization=layout == "zip")
    assert zipfile.is_zipfile(path) == (layout == "zip")
    assert "cannot be read: it asks for " in refusal(build_network("resnet18"), path)
    assert not victim.exists()
    if layout != "pickle":
        torch.load(path, weights_only=False)  # as it was meant to be read: it does ask for code
        assert victim.exists()


def test_arrays_of_objects_bring_no_code_in(tmp_path):
    victim = tmp_path / "made"
    array = np.array([Malicious(victim)], dtype=object)
    torch.save({"state_dict": {"w": torch.zeros(1)}, "meta": {"Lw": array}}, tmp_path / "w.pth")
    assert "cannot be read" in refusal(build_network("resnet18"), tmp_path / "w.pth")
    assert not victim.exists()


def test_every_family_is_tested():
    assert {name.rstrip("0123456789") for name in BACKBONES} - {"mini_resnet"} == {
        name.rstrip("0123456789") for name in FAMILIES
    }


class OwnState:
    """A class of a training script, which no reader knows."""


def test_what_training_scripts_keep_beside_the_weights_is_read_and_runs_nothing(tmp_path):
    network = build_network("mini_resnet")
    arguments = argparse.Namespace(lr=0.1, out=PurePosixPath("/x"))
    factory = collections.defaultdict(list, {"a": [1]})
    kept = {
        "args": arguments,
        "best": np.float64(0.7),
        "epoch": np.int64(3),
        "flag": np.bool_(True),
        "curve": np.arange(3, dtype=np.uint8),
        "names": np.array(["a", "b"]),
        "folder": Path("/data"),
        "more": factory,
        "when": datetime.datetime(2020, 1, 1),
        "counts": collections.Counter("aab"),
    }
    torch.save({"state_dict": network.state_dict(), **kept}, tmp_path / "w.pth")
    loaded = build_network("mini_resnet", weights=tmp_path / "w.pth")
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), loaded.parameters(), strict=True))


def test_a_file_with_objects_of_its_own_says_how_to_convert_it(tmp_path):
    network, path = build_network("mini_resnet"), tmp_path / "it's w.pth"
    torch.save({"state_dict": network.state_dict(), "own": OwnState()}, path)
    message = refusal(network, path)
    assert "it asks for" in message
    command = message.partition("where its program is: ")[2]
    script = shlex.split(command)[2]
    exec(script, {})  # as its author would, in a program that knows the class
    loaded = build_network("mini_resnet", weights=tmp_path / "it's w-weights.pth")
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), loaded.parameters(), strict=True))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("file", ["w.safetensors", "w.pth"])
def test_weights_that_are_no_numbers_name_file_and_tensor(tmp_path, value, file):
    network = build_network("mini_resnet")
    state = network.state_dict()
    name = next(name for name in state if name.endswith("running_var"))
    state[name][0] = value
    (safetensors.torch.save_file if file.endswith("s") else torch.save)(state, tmp_path / file)
    message = refusal(network, tmp_path / file)
    assert f"{file} holds values that are no numbers" in message
    assert f"first in {name} (1 of" in message


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "model.", "module._orig_mod."])
@pytest.mark.parametrize("place", ["state_dict", "model", "model_state_dict", None])
def test_what_wrapped_a_network_is_taken_off(tmp_path, wrapper, place):
    network = build_network("mini_resnet")
    state = {f"{wrapper}{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({place: state, "epoch": 3} if place else state, tmp_path / "w.pth")
    loaded = build_network("mini_resnet", weights=tmp_path / "w.pth")
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), loaded.parameters(), strict=True))


@pytest.mark.parametrize(
    ("names", "title", "why"),
    [
        (["encoder.0.weight", "pool.conv.weight", "pool.centroids"], "pytorch-NetVlad", "before the last ReLU"),
        (["backbone.0.weight", "aggregation.1.p", "aggregation.3.weight"], "CosPlace or EigenPlaces", "before GeM"),
        (["backbone.0.weight", "aggregation.centroids"], "deep-visual-geo-localization", "NetVLAD"),
        (["backbone.0.weight", "aggregation.1.p"], "deep-visual-geo-localization", "unit length"),
        (["backbone.conv1.weight", "heads.bnneck.weight"], "fast-reid", "neck"),
        (["cls_token", "pos_embed", "blocks.0.norm1.weight"], "vision transformer", "convolutional"),
        (
            ["model.conv1.weight", "classifier.add_block.0.weight"],
            "Person_reID_baseline_pytorch",
            "torchvision's names",
        ),
        (["conv1.conv.weight", "conv2.0.conv1.conv.weight"], "OSNet", "network.name"),
    ],
)
@pytest.mark.parametrize("wrapped", ["{}", "module.{}"])
def test_another_project_s_checkpoint_is_called_by_its_name(tmp_path, names, title, why, wrapped):
    torch.save({"state_dict": {wrapped.format(name): torch.zeros(1) for name in names}}, tmp_path / "w.pth")
    message = refusal(build_network("resnet18"), tmp_path / "w.pth")
    assert title in message
    assert why in message
    assert "resnet18 with GeM" in message
    assert "cirtorch" not in message
