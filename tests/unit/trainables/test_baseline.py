import json
import shutil
from dataclasses import replace

import pytest

from tracking.format_version import UnknownFormatError
from trainables.baseline import find_baseline


@pytest.fixture
def cache(tiny_baseline, tmp_path):
    """A copy of the cache that the dense network lies in."""
    shutil.copytree(tiny_baseline.folder, tmp_path / tiny_baseline.folder.name)
    return tmp_path


def rewrite_card(folder, **changes):
    path = folder / "baseline.json"
    card = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in card.items() if value is not None}))


def test_a_baseline_carries_its_version_and_one_without_is_found(tiny_settings, tiny_baseline, cache):
    folder = cache / tiny_baseline.folder.name
    assert json.loads((folder / "baseline.json").read_text())["format_version"] == 1
    rewrite_card(folder, format_version=None)
    assert find_baseline(tiny_settings, cache) == replace(tiny_baseline, folder=folder)


def test_a_baseline_of_a_newer_version_is_refused(tiny_settings, tiny_baseline, cache):
    rewrite_card(cache / tiny_baseline.folder.name, format_version=2)
    with pytest.raises(UnknownFormatError, match=r"baseline\.json is a dense network's card of format version 2"):
        find_baseline(tiny_settings, cache)
