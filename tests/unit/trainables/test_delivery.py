"""What is put around a network before it is delivered: scales, whitening; and the classifier that stays behind."""

import shutil
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from pruning.coding.packing import unpack
from pruning.schedule import Quantization, Schedule
from retrieval.images import ImageReader
from retrieval.runtime.onnx_model import describe_in, open_session, to_onnx
from trainables.baseline import _appearing, find_baseline, need_baseline, train_baseline
from trainables.data import open_data
from trainables.delivery import check_whitening, whitening_of
from trainables.settings import DescriptorSettings, LossSettings, TrialSettings
from trainables.trial import Outcome, Trial, replay

CPU = torch.device("cpu")
WHITENED = DescriptorSettings(scales=(1.0, 0.7), whitening="pca", size=16, images=60)
LEARNED = DescriptorSettings(whitening="lw", images=60)
RATIOS = {"backbone.conv1": 0.5, "backbone.layer3.2.conv1": 0.5}
TUPLES = {"negatives": 2, "queries": 12, "pool": 24, "freeze_batchnorm": True}
CLASSES = {"classes_per_batch": 4, "images_per_class": 3}
LOSSES = {"cosine_softmax": {}, "contrastive": TUPLES, "triplet": TUPLES, "batch_hard": CLASSES, "reid": CLASSES}


def schedule(method: str = "l1", **changes) -> Schedule:
    return Schedule(**{"method": method, "ratios": RATIOS, "epochs": 2, "learning_rate": 1e-3, **changes})


def run(trial: Trial) -> Outcome:
    while not trial.finished:
        trial.step()
    return trial.finish(measure=None)


def baseline_of(settings: TrialSettings, baselines_dir):
    for _ in train_baseline(settings, baselines_dir, CPU):
        pass
    return need_baseline(settings, baselines_dir)


def brief(settings: TrialSettings, *, network=None, **changes) -> TrialSettings:
    """The tiny settings with a dense training of two steps."""
    dense = settings.dense.model_copy(update={"epochs": 1, "steps_per_epoch": 2})
    shape = settings.network.model_copy(update=network or {})
    return settings.model_copy(update={"dense": dense, "network": shape, **changes})


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


class RecordingReader(ImageReader):
    """Reads as the other does, and remembers what."""

    def __init__(self, size) -> None:
        super().__init__(size)
        self.paths = set()

    def read(self, path, box=None):
        self.paths.add(path)
        return super().read(path, box)


@pytest.mark.parametrize("descriptor", [WHITENED, LEARNED], ids=["pca", "lw"])
def test_each_pruned_networks_whitening_reads_training_images_alone(tiny_settings, baselines, descriptor):
    settings = tiny_settings.model_copy(update={"descriptor": descriptor})
    baseline = baseline_of(settings, baselines)
    trial = Trial(schedule(), settings, baseline)
    reader = RecordingReader(64)
    trial._data = replace(trial._data, readers=dict.fromkeys(trial._data.readers, reader))
    outcome = run(trial)
    train = set(open_data(settings.data).train.images)
    assert 16 < len(reader.paths) <= 60
    assert reader.paths <= train
    ours, dense = whitening_of(outcome.network), whitening_of(baseline.delivered())
    assert not torch.allclose(ours.projection_KD.abs(), dense.projection_KD.abs(), rtol=0.05)


def test_no_image_that_is_asked_or_searched_changes_what_is_delivered(tiny_settings, tmp_path):
    """Every image of val and test becomes noise: the whole delivered network stays as it was, to the bit."""
    noisy, rng = shutil.copytree(tiny_settings.data.root, tmp_path / "noisy"), np.random.default_rng(0)
    for split in ("val", "test"):
        for file in (noisy / split).rglob("*.jpg"):
            Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(file)
    outcomes = []
    for root in (tiny_settings.data.root, noisy):
        data = tiny_settings.data.model_copy(update={"root": root})
        settings = brief(tiny_settings, data=data, descriptor=WHITENED)
        outcomes.append(run(Trial(schedule(epochs=1), settings, baseline_of(settings, tmp_path / f"for {root.name}"))))
    assert same_weights(outcomes[0].network, outcomes[1].network)
    assert outcomes[0].metrics["map"] != outcomes[1].metrics["map"]


@pytest.mark.parametrize("name", LOSSES)
def test_a_trial_of_any_loss_resumes_to_the_same_bits(tiny_settings, tmp_path, name):
    head, loss = "reid" if name == "reid" else "plain", LossSettings(name=name, match=1.5, **LOSSES[name])
    settings = brief(tiny_settings, network={"head": head}, loss=loss, descriptor=WHITENED)
    baseline = baseline_of(settings, tmp_path)
    asked = schedule("fpgm", quantization=Quantization(bits=6, epochs=1))
    whole, saved = Trial(asked, settings, baseline), []
    while not whole.finished:
        whole.step()
        saved.append(deepcopy(whole.state_dict()))
    outcome = whole.finish(measure=None)
    assert len(saved) == 3
    # At every epoch with one loss: what the others add to a state is in that of the epoch before the last stage, too.
    for state in saved if name == "batch_hard" else saved[1:2]:
        torch.manual_seed(1234)  # what else the process does must not matter
        resumed = Trial(asked, settings, baseline)
        resumed.load_state_dict(state)
        again = run(resumed)
        assert again.packed == outcome.packed
        assert again.metrics["map"] == outcome.metrics["map"]


@pytest.mark.parametrize("open_descriptor", [False, True], ids=["locked", "open"])
def test_a_reid_trial_delivers_no_classifier(tiny_settings, tmp_path, open_descriptor):
    loss = LossSettings(name="reid", **CLASSES)
    network = {"head": "reid", "descriptor_size": None if open_descriptor else 32}
    settings = brief(tiny_settings, network=network, loss=loss)
    baseline = baseline_of(settings, tmp_path)
    ratios = {"backbone.layer3.0.conv2": 0.5} if open_descriptor else RATIOS
    asked = schedule("fpgm", ratios=ratios, open_descriptor=open_descriptor, quantization=Quantization(bits=6))
    outcome = run(Trial(asked, settings, baseline))
    state, images = unpack(outcome.packed), torch.randn(2, 3, 64, 64)
    assert not [name for name in (*state, *outcome.network.state_dict()) if "classifier" in name]
    rebuilt = replay(baseline.network(), outcome.plan, state, 64, settings.descriptor)
    with torch.no_grad():
        ours, theirs = outcome.network(images), rebuilt(images)
    assert ours.shape == (2, 64 if open_descriptor else 32)
    assert torch.equal(ours, theirs)
    described = describe_in(open_session(to_onnx(rebuilt, 64)))(images)
    assert np.abs(described - ours.numpy()).max() < 1e-5


def test_other_scales_or_another_whitening_deliver_the_dense_network_again_and_train_nothing(tiny_settings, tmp_path):
    plain = brief(tiny_settings)
    baseline = baseline_of(plain, tmp_path)
    trained = (baseline.folder / "weights.safetensors").stat().st_mtime_ns
    for descriptor in (WHITENED, LEARNED):
        settings = plain.model_copy(update={"descriptor": descriptor})
        assert find_baseline(settings, tmp_path) is None
        assert list(train_baseline(settings, tmp_path, CPU)) == []
        again = need_baseline(settings, tmp_path)
        assert again.folder == baseline.folder
        assert again.delivered()(torch.randn(1, 3, 64, 64)).shape == (1, descriptor.size or 32)
        described = describe_in(open_session(again.onnx()))(torch.zeros(1, 3, 64, 64))
        assert np.abs(described - again.delivered()(torch.zeros(1, 3, 64, 64)).detach().numpy()).max() < 1e-5
    assert (baseline.folder / "weights.safetensors").stat().st_mtime_ns == trained
    assert need_baseline(plain, tmp_path).delivered()(torch.randn(1, 3, 64, 64)).shape == (1, 32)


def test_of_two_that_deliver_at_once_the_first_stays_and_the_second_goes_on(tmp_path):
    folder = tmp_path / "delivered"
    with _appearing(folder) as second:
        (second / "made by").write_text("second")
        with _appearing(folder) as first:
            (first / "made by").write_text("first")
    assert (folder / "made by").read_text() == "first"
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("descriptor", "message"),
    [
        ({"whitening": "pca", "size": 64}, "descriptor.size is 64, but the network's descriptor has 32 numbers"),
        ({"whitening": "lw", "images": 32}, "whitening to 32 numbers needs more images.*descriptor.images is 32"),
        ({"whitening": "pca", "images": 20}, "whitening to 32 numbers needs more images.*of 96 to train on"),
    ],
)
def test_a_whitening_that_cannot_be_fitted_is_refused_before_anything_is_trained(tiny_settings, descriptor, message):
    settings = tiny_settings.model_copy(update={"descriptor": DescriptorSettings(**descriptor)})
    with pytest.raises(ValueError, match=message):
        check_whitening(settings, 32, open_data(settings.data).train)
