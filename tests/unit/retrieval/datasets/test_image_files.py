import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from retrieval.datasets.image_files import (
    FIRST_SUFFIXES,
    class_folders,
    find_image_folder,
    image_suffixes,
    index_by_stem,
    list_images,
    list_outside,
)
from retrieval.datasets.missing import MissingImagesError


def _touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def _write(file: Path, kind: str) -> bool:
    """Write an image of one of Pillow's types in the first mode that it takes; False where it takes none."""
    for mode in ("RGB", "L", "P", "1", "F"):
        try:
            Image.new(mode, (32, 32)).save(file, kind)
        except (OSError, ValueError):
            continue
        return True
    return False


@pytest.mark.filterwarnings("ignore:.* image format is deprecated:DeprecationWarning")
def test_every_type_that_pillow_writes_and_decodes_is_listed(tmp_path: Path) -> None:
    suffixes = [suffix for suffix in image_suffixes() if Image.EXTENSION[suffix] in Image.SAVE]
    written = [f"a{suffix}" for suffix in suffixes if _write(tmp_path / f"a{suffix}", Image.EXTENSION[suffix])]
    assert {f"a{suffix}" for suffix in (".webp", ".bmp", ".tif", ".tiff", ".jfif", ".jpe", ".gif", ".avif")} <= {
        *written
    }
    (tmp_path / "a.BMP").write_bytes((tmp_path / "a.bmp").read_bytes())
    listed = list_images(tmp_path)
    assert listed.names == sorted([*written, "a.BMP"])
    for name in listed.names:
        with Image.open(tmp_path / name) as image:
            image.load()


@pytest.mark.parametrize("suffix", [".pdf", ".eps", ".ps", ".mpg", ".wmf", ".h5", ".grib", ".iim", ".heic", ".txt"])
def test_what_pillow_cannot_decode_by_itself_is_no_image(suffix: str) -> None:
    assert suffix not in image_suffixes()


def test_an_image_that_needs_a_package_is_left_out_with_its_name(tmp_path: Path) -> None:
    _touch(tmp_path, "a/IMG_1.HEIC", "b.heic", "c.jpg")
    assert str(list_images(tmp_path).left_out) == (
        "2 files left out: 2 .heic, needs pillow-heif (a/IMG_1.HEIC, b.heic)"
    )


def test_the_same_image_is_read_once_a_package_has_registered_its_suffix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _touch(tmp_path, "b.heic")
    Image.init()
    monkeypatch.setitem(Image.EXTENSION, ".heic", "JPEG")
    assert list_images(tmp_path).names == ["b.heic"]


def test_what_is_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    _touch(tmp_path, "1.jpg", "._1.jpg", "a/.2.jpg", ".git/3.jpg", "__MACOSX/a/._1.jpg")
    _touch(tmp_path, "Thumbs.db", "a/.DS_Store", "a/desktop.ini", "notes.txt", "README")
    os.mkfifo(tmp_path / "pipe.jpg")
    listed = list_images(tmp_path)
    assert listed.names == ["1.jpg"]
    assert str(listed.left_out) == (
        "10 files left out: 4 left by an operating system (Thumbs.db, __MACOSX, a/.DS_Store and 1 more), "
        "3 hidden (._1.jpg, .git, a/.2.jpg), 1 .txt (notes.txt), 1 neither file nor folder (pipe.jpg), "
        "1 without a suffix (README)"
    )


def test_a_folder_named_like_an_image_is_a_folder(tmp_path: Path) -> None:
    _touch(tmp_path, "x.jpg/1.png")
    assert list_images(tmp_path).names == ["x.jpg/1.png"]
    assert class_folders(tmp_path) == ["x.jpg"]


def test_images_deeper_than_wanted_are_counted(tmp_path: Path) -> None:
    _touch(tmp_path, "1.jpg", "a/2.jpg", "a/b/3.jpg")
    listed = list_images(tmp_path, depth=0)
    assert listed.names == ["1.jpg"]
    assert str(listed.left_out) == "2 files left out: 2 in deeper folders (a/2.jpg, a/b/3.jpg)"


def test_links_are_followed_once_and_those_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    _touch(tmp_path / "set", "a/1.jpg")
    (tmp_path / "set" / "a" / "round").symlink_to(tmp_path / "set", target_is_directory=True)
    (tmp_path / "set" / "2.jpg").symlink_to(tmp_path / "set" / "a" / "1.jpg")
    assert list_images(tmp_path / "set").names == ["2.jpg", "a/1.jpg"]
    (tmp_path / "set" / "3.jpg").symlink_to(tmp_path / "gone.jpg")
    with pytest.raises(MissingImagesError, match=r"set holds 1 link that leads nowhere: 3\.jpg; bring back") as caught:
        list_images(tmp_path / "set")
    assert caught.value.paths == (tmp_path / "set" / "3.jpg",)
    assert len(caught.value.there) == 2


def test_of_one_stem_a_published_suffix_comes_first(tmp_path: Path) -> None:
    names = ["a.avif", "a.jpg", "a.png", "b.bmp", "b.webp", "0/c.webp", "1/c.png"]
    assert index_by_stem(names) == {"a": "a.jpg", "b": "b.bmp", "c": "1/c.png"}
    assert image_suffixes()[: len(FIRST_SUFFIXES)] == FIRST_SUFFIXES


def test_what_lies_beside_class_folders_is_counted(tmp_path: Path) -> None:
    _touch(tmp_path, "a/1.jpg", "2.jpg", "3.webp", "list.txt", ".hidden/4.jpg")
    assert str(list_outside(tmp_path)) == (
        "4 files left out: 2 outside the class folders (2.jpg, 3.webp), 1 .txt (list.txt), 1 hidden (.hidden)"
    )


def test_a_folder_of_images_is_found_by_files_alone(tmp_path: Path) -> None:
    _touch(tmp_path, "__MACOSX/1.jpg", ".cache/1.jpg", "a/x.jpg/readme", "b/.1.jpg", "c/1.webp")
    assert find_image_folder(tmp_path) == tmp_path / "c"
    assert find_image_folder(tmp_path / "none") is None


def test_the_command_line_starts_without_the_plugins_of_pillow() -> None:
    code = "import sys; from search.__main__ import app; sys.exit('PIL.TiffImagePlugin' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
