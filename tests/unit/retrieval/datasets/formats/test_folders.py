from pathlib import Path

import pytest

from retrieval.datasets.formats.folders import load_folder_per_class, load_folder_queries


def _touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_jpeg_and_png_in_any_case_are_images_in_the_order_of_names(tmp_path: Path) -> None:
    _touch(tmp_path, "b/z.JPG", "b/a.jpeg", "a/2.png", "a/1.Jpg")
    training = load_folder_per_class(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in training.images] == [
        "a/1.Jpg",
        "a/2.png",
        "b/a.jpeg",
        "b/z.JPG",
    ]
    assert training.labels.tolist() == [0, 0, 1, 1]


def test_other_files_hidden_ones_and_folders_named_like_images_are_left_alone(tmp_path: Path) -> None:
    _touch(tmp_path, "a/1.jpg", "a/Thumbs.db", "a/._1.jpg", "a/2.jpg/inside.jpg", ".git/x.jpg")
    assert [path.name for path in load_folder_per_class(tmp_path).images] == ["1.jpg"]


def test_a_class_folder_without_an_image_is_named(tmp_path: Path) -> None:
    _touch(tmp_path, "a/1.jpg", "b/readme.txt", "c/deeper/1.jpg")
    with pytest.raises(ValueError, match=r"without an image, 2 in all: .*b .*c .*<root>/<class>/\*\.jpg"):
        load_folder_per_class(tmp_path)


def test_whatever_is_not_taken_is_counted_by_reason(tmp_path: Path) -> None:
    _touch(tmp_path, "a/1.webp", "a/2.heic", "a/deep/3.jpg", "a/._1.webp", "4.jpg", ".b/5.jpg", "__MACOSX/a/._1.webp")
    _touch(tmp_path, "c/1.tif", "c/2.tif", "c/desktop.ini")
    training = load_folder_per_class(tmp_path)
    assert training.classes == ("a", "c")
    assert str(training.left_out) == (
        "7 files left out: 2 hidden (.b, a/._1.webp), 2 left by an operating system (__MACOSX, c/desktop.ini), "
        "1 .heic, needs pillow-heif (a/2.heic), 1 in deeper folders (a/deep/3.jpg), 1 outside the class folders (4.jpg)"
    )
    assert load_folder_queries(tmp_path).left_out == training.left_out


def test_a_class_folder_whose_images_lie_deeper_says_so(tmp_path: Path) -> None:
    _touch(tmp_path, "a/1.jpg", "c/deeper/1.jpg")
    with pytest.raises(ValueError, match=r"c \(1 file left out: 1 in deeper folders \(c/deeper/1\.jpg\)\); the layout"):
        load_folder_per_class(tmp_path)
