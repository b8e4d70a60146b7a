from pathlib import Path

from retrieval.datasets.listing import find_on_disk, list_folder, list_unnamed


def _touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_a_folder_is_listed_by_names_below_the_root(tmp_path: Path) -> None:
    _touch(tmp_path, "a/2.JPG", "a/1.webp", "a/b/3.jpg", "a/x.txt")
    listed = list_folder(tmp_path, "a")
    assert listed.names == ["a/1.webp", "a/2.JPG"]
    assert str(listed.left_out) == "2 files left out: 1 .txt (a/x.txt), 1 in deeper folders (a/b/3.jpg)"
    assert list_folder(tmp_path, "none").names == []


def test_another_suffix_is_a_published_one_first(tmp_path: Path) -> None:
    _touch(tmp_path, "a/1.webp", "a/1.png", "b/2.TIF")
    assert find_on_disk(tmp_path, ["a/1.jpg", "b/2.jpg", "b/3.jpg"], any_suffix=True) == ["a/1.png", "b/2.TIF", None]
    assert find_on_disk(tmp_path, ["a/1.jpg"]) == [None]


def test_images_beside_those_of_a_list_are_counted(tmp_path: Path) -> None:
    _touch(tmp_path, "a/1.jpg", "a/2.webp", "a/.3.jpg", "a/list.txt", "b/4.jpg")
    assert str(list_unnamed(tmp_path, ["a/1.jpg"])) == "1 file left out: 1 that no list names (a/2.webp)"
    assert not list_unnamed(tmp_path, ["./a/1.jpg", "a/2.webp"])
