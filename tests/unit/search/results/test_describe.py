import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.descriptors.files import read_parquet
from retrieval.images import UnreadableImagesError
from retrieval.networks.network import build_network
from retrieval.runtime.onnx_model import to_onnx
from retrieval.text import name_from_text
from search.results.describe import describe_folder, plan_description
from search.results.export import NetworkCard
from trainables.settings import DataSettings, DescriptorSettings, EvaluationSettings, NetworkSettings


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """The two files of a bundle that describing needs."""
    folder = tmp_path_factory.mktemp("bundle")
    network = build_network("mini_resnet", descriptor_size=16)
    (folder / "model.onnx").write_bytes(to_onnx(network, 64))
    card = NetworkCard(
        network=NetworkSettings(name="mini_resnet", descriptor_size=16),
        classes=2,
        descriptor=DescriptorSettings(),
        data=DataSettings(root=folder, image_size=64),
        evaluation=EvaluationSettings(batch_size=8),
    )
    (folder / "network.json").write_text(card.model_dump_json())
    return folder


def test_every_image_gets_a_row_under_its_name(bundle, tiny_data, tmp_path):
    job = plan_description(bundle, tiny_data / "test", tmp_path / "out.parquet", "float32")
    seen = []
    assert describe_folder(job, lambda done, total: seen.append((done, total))) == 16
    found = read_parquet(tmp_path / "out.parquet")
    assert tuple(found.names) == job.names
    assert found.names[0].startswith("jpg/")
    np.testing.assert_allclose(np.linalg.norm(found.descriptors_ND, axis=1), 1, rtol=1e-5)
    assert seen[-1] == (len(job.names), len(job.names))
    assert found.provenance["device"] == "cpu"
    # Nothing is left of the parts.
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_half_the_bytes_keep_three_digits(bundle, tiny_data, tmp_path):
    files = {}
    for kind in ("float32", "float16"):
        describe_folder(plan_description(bundle, tiny_data / "val", tmp_path / kind, kind))
        files[kind] = read_parquet(tmp_path / kind).descriptors_ND
    assert files["float16"].dtype == np.float16
    np.testing.assert_allclose(files["float16"].astype(np.float32), files["float32"], atol=1e-3)


def test_an_unreadable_image_is_named_and_nothing_half_written_takes_the_place(bundle, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "broken.jpg").write_text("no image")
    job = plan_description(bundle, tmp_path / "images", tmp_path / "out.parquet", "float32")
    with pytest.raises(UnreadableImagesError, match=r"broken\.jpg"):
        describe_folder(job)
    assert not (tmp_path / "out.parquet").exists()


def test_what_cannot_be_described_is_refused(bundle, tiny_data, tmp_path):
    (tmp_path / "there").write_text("")
    with pytest.raises(ValueError, match="is there already"):
        plan_description(bundle, tiny_data, tmp_path / "there", "float32")
    with pytest.raises(ValueError, match="holds no image"):
        plan_description(bundle, tmp_path, tmp_path / "out", "float32")
    with pytest.raises(ValueError, match="is no bundle"):
        plan_description(tmp_path, tiny_data, tmp_path / "out", "float32")


def test_photographs_are_turned_upright_unless_that_is_not_wanted(bundle, tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    upright = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8))
    (tmp_path / "images").mkdir()
    upright.save(tmp_path / "images" / "a.png")
    upright.rotate(90, expand=True).save(tmp_path / "images" / "b.png", exif=exif)
    found = {}
    for treatment in ("apply", "ignore"):
        out = tmp_path / f"{treatment}.parquet"
        describe_folder(plan_description(bundle, tmp_path / "images", out, "float32", treatment))
        found[treatment] = read_parquet(out)
        assert found[treatment].provenance["exif_orientation"] == treatment
    cosine = {treatment: float(np.dot(*each.descriptors_ND)) for treatment, each in found.items()}
    assert cosine["apply"] == pytest.approx(1, abs=1e-5)
    assert cosine["ignore"] < 0.9999


def test_an_image_that_the_network_cannot_take_is_named_before_any_is_described(tmp_path):
    (tmp_path / "bundle").mkdir()
    network = NetworkSettings(name="vgg16")
    (tmp_path / "bundle" / "model.onnx").write_bytes(to_onnx(build_network("vgg16"), 64))
    card = NetworkCard(
        network=network,
        classes=2,
        descriptor=DescriptorSettings(),
        data=DataSettings(root=tmp_path, image_size=64),
        evaluation=EvaluationSettings(),
    )
    (tmp_path / "bundle" / "network.json").write_text(card.model_dump_json())
    (tmp_path / "images").mkdir()
    Image.new("RGB", (64, 16)).save(tmp_path / "images" / "good.png")
    job = plan_description(tmp_path / "bundle", tmp_path / "images", tmp_path / "good.parquet", "float32")
    assert describe_folder(job) == 512
    Image.new("RGB", (64, 15)).save(tmp_path / "images" / "strip.png")
    job = plan_description(tmp_path / "bundle", tmp_path / "images", tmp_path / "out.parquet", "float32")
    with pytest.raises(ValueError, match=r"1 image is too small .*strip\.png \(64 × 15"):
        describe_folder(job)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "good.parquet", "images"]


def test_every_type_of_image_is_described_and_what_is_left_out_is_counted(bundle, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.webp", "b.bmp", "c.tif", "d.gif", "e.JPG"):
        Image.new("RGB", (64, 64)).save(folder / name)
    for name in ("f.heic", "._e.JPG", "Thumbs.db"):
        (folder / name).touch()
    job = plan_description(bundle, folder, tmp_path / "out.parquet", "float32")
    describe_folder(job)
    assert read_parquet(tmp_path / "out.parquet").names == ["a.webp", "b.bmp", "c.tif", "d.gif", "e.JPG"]
    assert str(job.left_out) == (
        "3 files left out: 1 .heic, needs pillow-heif (f.heic), 1 hidden (._e.JPG), "
        "1 left by an operating system (Thumbs.db)"
    )
    for name in job.names:
        (folder / name).unlink()
    with pytest.raises(ValueError, match=r"holds no image \(3 files left out: 1 \.heic, needs pillow-heif"):
        plan_description(bundle, folder, tmp_path / "more.parquet", "float32")


def test_a_name_that_is_no_utf8_is_written_so_that_it_can_be_read_back(bundle, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    name = os.fsdecode(b"caf\xe9.jpg")
    for each in (name, "plain.jpg"):
        with (folder / each).open("wb") as file:
            Image.new("RGB", (64, 64)).save(file, "JPEG")
    describe_folder(plan_description(bundle, folder, tmp_path / "out.parquet", "float32"))
    texts = read_parquet(tmp_path / "out.parquet").names
    assert texts == ["./caf%E9.jpg", "plain.jpg"]
    assert all((folder / name_from_text(text)).is_file() for text in texts)
    with pytest.raises(ValueError, match=r"descriptors .*caf\\xe9\.jpg is no name in UTF-8"):
        plan_description(bundle, folder, tmp_path / name, "float32")
