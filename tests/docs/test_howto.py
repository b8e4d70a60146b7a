import tomllib
from pathlib import Path

from markdown_blocks import ROOT, blocks
from PIL import Image

from retrieval.datasets.formats.manifest import load_manifest, load_manifest_training
from retrieval.datasets.reid_names import PRESETS
from trainables.data import open_data
from trainables.settings import DataSettings

DATA = ROOT / "docs" / "howto" / "data.md"


def test_the_manifest_that_the_page_writes_is_one_that_a_sweep_reads(run_blocks, clone: Path):
    for split in ("train", "val", "test"):
        for name in ("tower/a", "tower/b", "bridge/c"):
            file = clone / "photos" / split / f"{name}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16)).save(file)
    run_blocks(DATA, "python")
    manifest = clone / "photos" / "manifest.parquet"
    assert len(load_manifest(manifest, "val").queries) == 2
    assert load_manifest_training(manifest).classes == ("bridge", "tower")


def test_the_pattern_that_the_page_shows_reads_the_names_that_it_shows(tmp_path: Path):
    (written,) = [block.text for block in blocks(DATA, "toml") if "pattern" in block.text]
    cars = [f"car{car}-{camera}-0031" for car in range(1, 9) for camera in ("north", "south")]
    for folder in ("bounding_box_train", "bounding_box_test", "query"):
        (tmp_path / "cars" / folder).mkdir(parents=True)
        for name in (*cars, "car17-north-0031-blurred"):
            (tmp_path / "cars" / folder / f"{name}.png").touch()
    data = tomllib.loads(written)["data"]
    opened = open_data(DataSettings.model_validate({**data, "root": tmp_path / "cars"}))
    assert opened.train.classes == ("car2", "car3", "car4", "car5", "car6", "car7")
    assert len(opened.select_on.queries) == 4
    assert opened.report_on.queries[0].positives.tolist() == [1]
    assert opened.report_on.queries[0].junk.tolist() == [0]
    assert set(opened.report_on.left_out.by_reason) == {"junk by their names"}


def test_the_page_names_every_preset_and_an_example_of_each():
    page = DATA.read_text(encoding="utf-8")
    for rule in PRESETS.values():
        assert f"`{rule.name}`" in page
        assert f"`{rule.example}`" in page
