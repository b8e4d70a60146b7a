from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from pydantic import ValidationError

from pruning.graph.groups import find_groups
from retrieval.datasets.base import TrainingSet
from retrieval.datasets.formats.folders import load_folder_per_class
from retrieval.datasets.formats.oxford import load_oxford
from retrieval.datasets.miniature.mini import MiniSettings, write_mini
from retrieval.descriptors.extract import describe_with
from retrieval.evaluation.evaluate import evaluate
from retrieval.images import ImageReader
from retrieval.networks.network import build_network
from retrieval.training.loop import Batches
from retrieval.training.losses.contrastive import Contrastive
from retrieval.training.losses.cosine_softmax import CosineSoftmax
from retrieval.training.losses.matching import Matched
from retrieval.training.losses.reid import ReIDPair
from trainables.baseline import (
    _untrained,
    baseline_identity,
    build_dense,
    dense_groups,
    find_baseline,
    train_baseline,
)
from trainables.data import training_fingerprint
from trainables.loss_factory import make_batches, make_loss
from trainables.settings import LossSettings, NetworkSettings, TrialSettings, example_image
from trainables.training import Training, TrainingSetup

CPU = torch.device("cpu")
TUPLES = {"negatives": 3, "queries": 96, "pool": 96, "freeze_batchnorm": True}
CLASSES = {"classes_per_batch": 8, "images_per_class": 4}

# Each loss with what suits a tiny network from a random start: its settings, batch size and learning rate.
LOSSES = {
    "cosine_softmax": ({}, 32, 3e-3),
    "contrastive": (TUPLES, 8, 3e-4),
    "triplet": (TUPLES, 8, 3e-4),
    "batch_hard": (CLASSES, 32, 3e-3),
    "soft batch_hard": ({**CLASSES, "margin": "soft"}, 32, 3e-3),
    "reid": (CLASSES, 32, 3e-3),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp("data") / "mini"
    write_mini(out, seed=0, settings=MiniSettings(training_places=24, views=6, places=8, distractors=16))
    return load_folder_per_class(out / "train"), load_oxford(out / "val"), ImageReader(64)


def loss_settings(case: str) -> LossSettings:
    return LossSettings(name=case.removeprefix("soft "), **LOSSES[case][0])


def training(case: str, data, *, steps: int, epochs: int = 2, first_epoch: int = 0, match: float = 0) -> Training:
    train, _, reader = data
    settings, (_, batch_size, learning_rate) = loss_settings(case), LOSSES[case]
    torch.manual_seed(0)
    classes = len(train.classes)
    network, dense = (
        build_network("mini_resnet", descriptor_size=32, classes=classes if case == "reid" else None) for _ in range(2)
    )
    loss = make_loss(settings, classes, 32)
    setup = TrainingSetup(
        Matched(loss, dense, match) if match else loss,
        make_batches(settings, Batches(train, reader, batch_size, 0, steps)),
        weight_decay=1e-4,
        device=CPU,
        freeze_batchnorm=settings.freeze_batchnorm,
    )
    return Training(network, setup, epochs=epochs, learning_rate=learning_rate, first_epoch=first_epoch)


def same_state(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_state(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same_state, a, b))
    return a == b


@pytest.mark.parametrize("case", LOSSES)
def test_training_with_each_loss_finds_more_than_the_untrained_network(data, case):
    _, val, reader = data
    run = training(case, data, steps=8)
    before = evaluate(describe_with(run.network, CPU), val, reader).map
    while not run.finished:
        run.train_epoch()
    assert evaluate(describe_with(run.network, CPU), val, reader).map > before + 0.05


@pytest.mark.parametrize(
    ("case", "match"), [*((case, 0) for case in LOSSES), ("cosine_softmax", 1.5), ("contrastive", 1.5), ("reid", 1.5)]
)
def test_a_training_resumes_between_epochs_as_if_it_had_not_been_interrupted(data, case, match):
    def start() -> Training:
        return training(case, data, steps=2, epochs=3, first_epoch=4, match=match)

    whole, resumed = start(), start()
    whole.train_epoch()
    saved = deepcopy(whole.state_dict())
    torch.manual_seed(1234)  # what else the process does must not matter
    resumed.load_state_dict(saved)
    assert [whole.train_epoch() for _ in range(2)] == [resumed.train_epoch() for _ in range(2)]
    assert same_state(whole.state_dict(), resumed.state_dict())
    assert resumed.finished


def test_matching_draws_the_descriptors_towards_the_dense_ones(data):
    def distance(match: float) -> float:
        run = training("contrastive", data, steps=8, epochs=1, match=match)
        images = next(run.first_batches(1)).stacks[0]
        dense = Matched(Contrastive(), training("contrastive", data, steps=1, match=1).loss._dense[0], 1)
        run.train_epoch()
        with torch.no_grad():
            ours, theirs = dense.outputs(run.network.eval(), images)
        return float((ours - theirs).pow(2).sum(1).mean())

    assert distance(100.0) < 0.7 * distance(1e-9)


@pytest.mark.parametrize("case", ["contrastive", "batch_hard"])
def test_statistics_are_measured_on_plain_random_batches(data, case):
    train, _, reader = data
    run = training(case, data, steps=2, first_epoch=3)
    expected = Batches(train, reader, LOSSES[case][1], 0, 4).epoch(3)
    for found, plain in zip(run.first_batches(4), expected, strict=True):
        assert torch.equal(found.stacks[0], plain.stacks[0])
        assert torch.equal(found.labels_N, plain.labels_N)


def test_what_is_given_of_a_loss_reaches_it_and_its_batches(data):
    train, _, reader = data
    plain = Batches(train, reader, 4, 0)
    given = LossSettings(name="contrastive", margin=0.85, negatives=2, queries=9, pool=50)
    assert make_loss(given, 24, 32).margin == 0.85
    batches = make_batches(given, plain)
    assert (batches.negatives, batches.queries, batches.pool, batches.plain) == (2, 9, 50, plain)
    published = LossSettings(name="contrastive")
    assert make_loss(published, 24, 32).margin == 0.7
    assert make_batches(published, plain).negatives == 5
    assert make_loss(LossSettings(scale=8.0), 24, 32).scale == 8.0
    assert make_loss(LossSettings(name="reid", smoothing=0.2), 24, 32).smoothing == 0.2
    assert make_batches(LossSettings(name="reid", **CLASSES), plain).images_per_class == 4
    assert make_batches(LossSettings(), plain) is plain


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"margin": 0.5}, "margin is 0.5, but cosine_softmax takes only scale"),
        ({"name": "contrastive", "scale": 4.0}, "scale is 4.0, but contrastive takes only margin, negatives, queries"),
        ({"name": "reid", "pool": 9}, "pool is 9, but reid takes only margin, smoothing, classes_per_batch"),
        ({"name": "triplet", "margin": "soft"}, 'margin is "soft", but triplet takes a number'),
        ({"name": "triplett"}, "'triplet'"),
        ({"name": "batch_hard", "images_per_class": 1}, "greater than or equal to 2"),
    ],
)
def test_values_that_do_not_belong_to_the_loss_are_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        LossSettings(**given)


def test_settings_of_a_loss_survive_being_written_down():
    for case in LOSSES:
        settings = loss_settings(case)
        assert LossSettings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize(("head", "name"), [("plain", "reid"), ("reid", "cosine_softmax")])
def test_a_classifier_and_the_loss_that_trains_it_need_each_other(tiny_settings, head, name):
    parts = dict(tiny_settings) | {"network": NetworkSettings(name="mini_resnet", head=head)}
    with pytest.raises(ValidationError, match="each needs the other"):
        TrialSettings(**parts | {"loss": LossSettings(name=name)})


def with_loss(settings: TrialSettings, loss: LossSettings, head: str = "plain") -> TrialSettings:
    network = settings.network.model_copy(update={"head": head})
    dense = settings.dense.model_copy(update={"epochs": 1, "steps_per_epoch": 2})
    return settings.model_copy(update={"network": network, "dense": dense, "loss": loss})


@pytest.mark.parametrize("case", ["contrastive", "reid"])
def test_a_baseline_of_any_loss_is_found_again_whole(tiny_settings, tmp_path, case):
    settings = with_loss(tiny_settings, loss_settings(case), head="reid" if case == "reid" else "plain")
    groups = dense_groups(settings)
    (point,) = train_baseline(settings, tmp_path, CPU)
    assert np.isfinite(point.loss)
    baseline = find_baseline(settings, tmp_path)
    network, loss = baseline.network(), baseline.loss(32)
    assert isinstance(loss, ReIDPair if case == "reid" else Contrastive)
    assert groups == tuple(find_groups(network, example_image(64)))
    assert baseline.classes == 16
    assert hasattr(network, "classifier") == (case == "reid")
    rebuilt = build_dense(settings.network, baseline.classes).eval()
    rebuilt.load_state_dict(safetensors.torch.load_file(baseline.folder / "weights.safetensors"))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(network(images), rebuilt(images))
    matching = settings.model_copy(update={"loss": settings.loss.model_copy(update={"match": 2.0})})
    matched = replace(baseline, settings=matching).loss(32)
    assert isinstance(matched, Matched)
    assert matched.weight == 2.0
    assert same_state(dict(matched.loss.state_dict()), dict(loss.state_dict()))


def test_a_dense_network_of_no_epochs_is_the_one_it_starts_from(tiny_settings, tmp_path):
    start, file = build_network("mini_resnet", descriptor_size=32), tmp_path / "start.safetensors"
    safetensors.torch.save_file(start.state_dict(), file)
    network = tiny_settings.network.model_copy(update={"weights": str(file)})
    dense = tiny_settings.dense.model_copy(update={"epochs": 0})
    settings = tiny_settings.model_copy(update={"network": network, "dense": dense})
    assert list(train_baseline(settings, tmp_path / "baselines_dir", CPU)) == []
    found = find_baseline(settings, tmp_path / "baselines_dir")
    assert same_state(dict(found.network().state_dict()), dict(start.state_dict()))
    assert isinstance(found.loss(32), CosineSoftmax)


def test_netvlad_keeps_the_centroids_that_its_weights_came_with(tiny_settings, data, tmp_path):
    torch.manual_seed(5)
    start = build_network("mini_resnet", pooling="netvlad", descriptor_size=32)
    file = tmp_path / "start.safetensors"
    safetensors.torch.save_file(start.state_dict(), file)
    settings = tiny_settings.network.model_copy(update={"pooling": "netvlad", "weights": str(file)})
    found = _untrained(settings, Batches(data[0], data[2], 16, 0))
    assert torch.equal(found.pooling.centroids_KC, start.pooling.centroids_KC)


def test_a_baseline_belongs_to_its_loss_but_not_to_the_trials_matching(tiny_settings):
    def identity(**loss) -> str:
        return baseline_identity(tiny_settings.model_copy(update={"loss": LossSettings(**loss)}))

    several = [{}, {"scale": 8.0}, {"freeze_batchnorm": True}, {"name": "contrastive"}, {"name": "triplet"}]
    assert len({identity(**loss) for loss in several}) == len(several)
    assert identity(match=1.0) == identity()


def test_a_baseline_belongs_to_the_order_labels_pairs_and_places_of_its_training_images(tiny_data):
    train = load_folder_per_class(tiny_data / "train")
    count = len(train.images)
    swapped = train.labels.copy()
    swapped[[0, -1]] = swapped[[-1, 0]]
    backwards = TrainingSet(list(reversed(train.images)), train.labels, train.classes)
    several = [
        train,
        replace(train, labels=swapped),
        backwards,
        replace(train, pairs_P2=np.array([[0, 1]])),
        replace(train, pairs_P2=np.array([[1, 0]])),
        replace(train, coordinates_N2=np.zeros((count, 2))),
        replace(train, coordinates_N2=np.zeros((count, 2)), negative_metres=10.0),
    ]
    assert len({training_fingerprint(each) for each in several}) == len(several)
    assert training_fingerprint(load_folder_per_class(tiny_data / "train")) == training_fingerprint(train)
