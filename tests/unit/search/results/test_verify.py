"""What verify refuses before it looks at the network; the rest is tests/flow's."""

import json

import pytest

from search.errors import BadInputError
from search.results.verify import BundleBrokenError, verify


def test_a_bundle_of_a_newer_version_is_bad_input_whatever_its_other_files_are(tmp_path):
    (tmp_path / "SHA256SUMS").write_text("of files that this version does not know")
    (tmp_path / "network.json").write_text(json.dumps({"format_version": 2}))
    with pytest.raises(BadInputError, match=r"network\.json is a bundle's network card of format version 2"):
        next(verify(tmp_path))


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_damaged_card_is_left_to_the_checksums(tmp_path, content):
    (tmp_path / "SHA256SUMS").write_text("")
    (tmp_path / "network.json").write_text(content)
    with pytest.raises(BundleBrokenError):
        next(verify(tmp_path))


def test_a_folder_without_checksums_is_no_bundle(tmp_path):
    with pytest.raises(BadInputError, match="is no bundle: it has no SHA256SUMS"):
        next(verify(tmp_path))
