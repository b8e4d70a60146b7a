"""What the data and the network cannot go through with is refused before anything trains, naming the key."""

import shutil

import pytest

from search.build import build_problem
from search.config import load_config


@pytest.fixture
def refusal(tiny_sweep):
    """Return the message with which a sweep of the tiny benchmark is refused for `--set` keys."""

    def of(*overrides: str, data=None) -> str:
        with pytest.raises(ValueError, match=r".") as caught:
            build_problem(load_config(tiny_sweep, overrides=overrides, data=data))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return of


@pytest.fixture
def one_image_a_class(tiny_data, tmp_path):
    data = shutil.copytree(tiny_data, tmp_path / "data")
    for folder in (data / "train").iterdir():
        for image in sorted(folder.iterdir())[1:]:
            image.unlink()
    return data


def test_what_suits_the_data_passes(tiny_sweep):
    assert build_problem(load_config(tiny_sweep, overrides=["evaluation.index='IVF4,SQ8'"])).space.groups


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["evaluation.index='IVF256,Flat'"], "evaluation.index does not suit data.select_on: faiss makes no index"),
        (["evaluation.index='PQ8'"], "as large as number of clusters (256)"),
        (["evaluation.index='PQ7x4'"], "multiple of the number of subquantizers"),
        (["descriptor.whitening='pca'", "descriptor.size=64"], "descriptor.size is 64, but the network's descriptor"),
        (["descriptor.whitening='pca'", "descriptor.images=20"], "whitening to 32 numbers needs more images"),
        (["loss.name='contrastive'", "loss.pool=6"], "at least 7 would be right"),
        (
            ["network.name='alexnet'", "data.image_size=16"],
            "images are read at 16 pixels, but the network needs at least 31",
        ),
        (["network.name='alexnet'", "latency.image_size=16"], "latency.image_size is 16: the network does not take"),
        (["network.pooling='netvlad'", "data.training_size=16", "dense.batch_size=2"], "20 features to place"),
        (["search.objectives=['recall_at_1', 'speedup']"], "recall_at_1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_settings_that_do_not_suit_data_and_network(refusal, overrides, message):
    assert message in refusal(*overrides)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("batch_hard", "fewer than two classes of two images"),
        ("contrastive", "no two images of a class"),
        ("triplet", "no two images of a class"),
    ],
)
def test_a_loss_that_needs_two_images_a_class(refusal, one_image_a_class, loss, message):
    assert message in refusal(f"loss.name='{loss}'", data=one_image_a_class)


def test_a_whitening_that_needs_pairs(refusal, one_image_a_class):
    assert "needs pairs" in refusal("descriptor.whitening='lw'", data=one_image_a_class)


def test_a_loss_that_tells_classes_apart_needs_two(refusal, tiny_data, tmp_path):
    data = shutil.copytree(tiny_data, tmp_path / "data")
    for folder in sorted((data / "train").iterdir())[1:]:
        shutil.rmtree(folder)
    assert "at least 2 classes apart: data.train has 1" in refusal(data=data)


def test_an_open_descriptor_must_suit_the_index_at_every_width(refusal, tiny_sweep):
    tiny_sweep.write_text(tiny_sweep.read_text().replace("descriptor_size = 32\n", ""))
    words = ["space.descriptor='open'", "evaluation.index='PQ16x4'"]
    assert "PQ16x4' of" in (message := refusal(*words))
    assert "multiple of the number of subquantizers" in message


def test_one_image_a_batch_is_too_few_for_a_neck(refusal):
    words = ["network.head='reid'", "loss.name='reid'", "finetune.batch_size=1"]
    assert "finetune.batch_size is 1" in refusal(*words)
