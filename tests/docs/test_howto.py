from pathlib import Path

from markdown_blocks import ROOT
from PIL import Image

from retrieval.datasets.formats.manifest import load_manifest, load_manifest_training

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
