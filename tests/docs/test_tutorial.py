import pytest
from markdown_blocks import ROOT

from tracking.front import read_front

TUTORIAL = ROOT / "docs" / "tutorial.md"


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_block_of_the_tutorial_runs_as_it_stands(run_blocks, clone):
    run_blocks(TUTORIAL)
    assert len(read_front(clone / "runs" / "photos").points) == 3
    assert (clone / "descriptors.parquet").is_file()
