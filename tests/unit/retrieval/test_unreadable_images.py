import os
from pathlib import Path

import pytest
from PIL import Image

from retrieval.images import read_image
from retrieval.unreadable_images import UnreadableImagesError


def _reason(path: Path) -> str:
    with pytest.raises(UnreadableImagesError) as caught:
        read_image(path, size=None)
    assert "\n" not in str(caught.value)
    return caught.value.reasons[path]


def test_each_cause_is_told_from_the_others(tmp_path: Path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "page.jpg").write_text("<html>not found</html>")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    Image.effect_noise((200, 150), 90).save(tmp_path / "half.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "half.jpg").read_bytes()[:4000])
    expected = {
        "missing.jpg": "missing",
        "dangling.jpg": "missing",
        "empty.jpg": "empty file",
        "page.jpg": "no image that Pillow knows",
        "folder.jpg": "no regular file",
        "pipe.jpg": "no regular file",
    }
    assert {name: _reason(tmp_path / name) for name in expected} == expected
    assert _reason(tmp_path / "half.jpg").startswith("damaged: image file is truncated")


@pytest.mark.parametrize("limit", [100, 500])
def test_too_many_pixels_are_a_reason_with_size_and_limit(tmp_path: Path, monkeypatch, limit: int):
    # 600 pixels are above the limit of 500, of which Pillow only warns, and above twice the limit of 100.
    Image.new("RGB", (30, 20)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    reason = _reason(tmp_path / "large.png")
    assert reason.startswith("too many pixels for Pillow: ")
    assert "600" in reason
    assert str(limit if limit == 500 else 2 * limit) in reason


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_that_pillow_only_warns_of_is_refused_where_warnings_are_silent(tmp_path: Path, monkeypatch):
    Image.new("RGB", (30, 20)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    assert "30 × 20 exceed the limit of 500 pixels" in _reason(tmp_path / "large.png")
