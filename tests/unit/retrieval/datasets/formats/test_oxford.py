import logging
from pathlib import Path

import pytest

from retrieval.datasets.formats.oxford import PARIS_CORRUPT, load_oxford

_IMAGES = ("all_souls_000013", "all_souls_000026", "ashmolean_000000", "keble_000001", "keble_000002")
_FILES = {
    # As published: the prefix in the query file only, one line twice, corners with fractions.
    "all_souls_1_query.txt": "oxc1_all_souls_000013 136.5 34.1 648.5 955.7\n",
    "all_souls_1_good.txt": "all_souls_000026\nall_souls_000013\nall_souls_000026\n",
    "all_souls_1_ok.txt": "keble_000001\n",
    "all_souls_1_junk.txt": "keble_000002\n",
    "keble_5_query.txt": "keble_000001 1 2 30 40\n",
    "keble_5_good.txt": "keble_000001\n",
    "keble_5_ok.txt": "",
    "keble_5_junk.txt": "",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("jpg", "gt"):
        (tmp_path / folder).mkdir()
    for image in _IMAGES:
        (tmp_path / "jpg" / f"{image}.jpg").touch()
    for name, text in _FILES.items():
        (tmp_path / "gt" / name).write_text(text)
    return tmp_path


def _refusal(root: Path) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each caller checks the message
        load_oxford(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_database_is_every_image_in_the_order_of_names(root: Path) -> None:
    oxford = load_oxford(root, name="tiny")
    assert oxford.name == "tiny"
    assert [path.stem for path in oxford.images] == sorted(_IMAGES)


def test_place_names_keep_their_underscores(root: Path) -> None:
    assert [query.name for query in load_oxford(root).queries] == ["all_souls_1", "keble_5"]


def test_the_prefix_is_cut_from_query_files_and_only_if_it_is_there(root: Path) -> None:
    first, second = load_oxford(root).queries
    assert first.path == root / "jpg" / "all_souls_000013.jpg"
    assert second.path == root / "jpg" / "keble_000001.jpg"


def test_box_corners_stay_floats(root: Path) -> None:
    assert load_oxford(root).queries[0].box == (136.5, 34.1, 648.5, 955.7)


def test_positives_are_good_and_ok_once_each_with_the_query_image(root: Path) -> None:
    query = load_oxford(root).queries[0]
    assert query.positives.tolist() == [0, 1, 3]
    assert query.junk.tolist() == [4]


def test_empty_lists_are_allowed(root: Path) -> None:
    query = load_oxford(root).queries[1]
    assert query.positives.tolist() == [3]
    assert query.junk.tolist() == []


@pytest.mark.parametrize(
    "line",
    [
        "all_souls_000013 1 2 3",
        "all_souls_000013 1 2 3 4 5",
        "all_souls_000013 1 2 x 4",
        "all_souls_000013 30 2 10 40",
        "all_souls_000013 1 2 nan 4",
        "all_souls_000013 1 2 inf 4",
    ],
)
def test_a_malformed_query_line_is_shown_with_what_would_be_right(root: Path, line: str) -> None:
    (root / "gt" / "all_souls_1_query.txt").write_text(line + "\n")
    message = _refusal(root)
    assert "all_souls_1_query.txt" in message
    assert repr(line) in message
    assert "'image x1 y1 x2 y2'" in message


@pytest.mark.parametrize("lines", [0, 2])
def test_a_query_file_holds_one_line(root: Path, lines: int) -> None:
    (root / "gt" / "keble_5_query.txt").write_text("keble_000001 1 2 30 40\n" * lines)
    assert f"keble_5_query.txt holds {lines} lines" in _refusal(root)


def test_a_named_image_that_is_not_there_is_named_with_its_file(root: Path) -> None:
    (root / "gt" / "keble_5_ok.txt").write_text("keble_000077\n")
    message = _refusal(root)
    assert "and not in" in message
    assert "keble_000077 (in keble_5_ok.txt)" in message


def test_many_missing_images_are_counted(root: Path) -> None:
    names = [f"keble_0001{number:02d}" for number in range(8)]
    (root / "gt" / "keble_5_junk.txt").write_text("\n".join(names))
    message = _refusal(root)
    assert ", 8 in all: " in message
    assert "keble_000104 (in keble_5_junk.txt) and 3 more" in message


def test_a_missing_query_image_is_named(root: Path) -> None:
    (root / "jpg" / "all_souls_000013.jpg").unlink()
    assert "all_souls_000013 (in all_souls_1_query.txt)" in _refusal(root)


@pytest.mark.parametrize("kind", ["query", "good", "ok", "junk"])
def test_a_missing_sibling_file_is_named(root: Path, kind: str) -> None:
    (root / "gt" / f"all_souls_1_{kind}.txt").unlink()
    assert f"gt lacks all_souls_1_{kind}.txt;" in _refusal(root)


def test_an_image_that_is_positive_and_junk_is_named(root: Path) -> None:
    (root / "gt" / "all_souls_1_junk.txt").write_text("keble_000001\n")
    assert "all_souls_1_junk.txt lists keble_000001, which" in _refusal(root)


def test_missing_folders_are_named(root: Path) -> None:
    for path in (root / "gt").iterdir():
        path.unlink()
    assert f"{root / 'gt'} is missing or holds no query" in _refusal(root)
    for path in (root / "jpg").iterdir():
        path.unlink()
    assert f"{root / 'jpg'} is missing or holds no image" in _refusal(root)
    assert "missing/jpg is missing" in _refusal(root / "missing")


def test_other_files_in_the_folder_are_left_alone(root: Path) -> None:
    (root / "gt" / "README.txt").write_text("how these were made")
    assert len(load_oxford(root).queries) == 2


def test_thumbs_and_hidden_files_are_no_images(root: Path) -> None:
    for name in ("Thumbs.db", "._keble_000001.jpg", ".DS_Store", "keble_000001.txt"):
        (root / "jpg" / name).touch()
    assert [path.stem for path in load_oxford(root).images] == sorted(_IMAGES)


def test_a_query_may_have_no_positives(root: Path) -> None:
    (root / "gt" / "keble_5_good.txt").write_text("\n")
    query = load_oxford(root).queries[1]
    assert (query.positives.size, query.junk.size) == (0, 0)
    assert query.positives.dtype.kind == "i"


@pytest.fixture
def paris(tmp_path: Path) -> Path:
    """As packed: a folder a landmark, in one named paris, and web pages among the images."""
    files = ("defense/paris_defense_000605", "louvre/paris_louvre_000001", "louvre/paris_louvre_000136")
    for file in (*files, "eiffel/paris_eiffel_000007", "eiffel/paris_eiffel_000128"):
        path = tmp_path / "jpg" / "paris" / f"{file}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("<html>302 Found</html>")
    (tmp_path / "gt").mkdir()
    for name, text in {
        "defense_1_query.txt": "paris_defense_000605 1 2 30 40\n",
        "defense_1_good.txt": "paris_defense_000605\nparis_eiffel_000128\n",
        "defense_1_ok.txt": "paris_louvre_000136\n",
        "defense_1_junk.txt": "paris_louvre_000001\n",
    }.items():
        (tmp_path / "gt" / name).write_text(text)
    return tmp_path


def test_images_in_folders_are_known_by_their_names_alone(paris: Path) -> None:
    found = load_oxford(paris, "paris6k")
    assert [path.relative_to(paris / "jpg").as_posix() for path in found.images] == [
        "paris/defense/paris_defense_000605.jpg",
        "paris/eiffel/paris_eiffel_000007.jpg",
        "paris/eiffel/paris_eiffel_000128.jpg",
        "paris/louvre/paris_louvre_000001.jpg",
    ]
    (query,) = found.queries
    assert query.path == paris / "jpg" / "paris" / "defense" / "paris_defense_000605.jpg"
    assert (query.positives.tolist(), query.junk.tolist()) == ([0, 2], [3])


def test_the_corrupt_files_of_paris_are_left_out_also_where_a_list_names_them(
    paris: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert "paris_louvre_000136" not in {path.stem for path in load_oxford(paris).images}
    assert "corrupt files left out: 1" in caplog.text
    assert len(PARIS_CORRUPT) == 20
    assert {"paris_pompidou_000640", "paris_triomphe_000867"} <= PARIS_CORRUPT


def test_a_list_of_corrupt_files_is_heeded(paris: Path) -> None:
    (paris / "corrupt.txt").write_text("eiffel/paris_eiffel_000128.jpg\n")
    (query,) = (found := load_oxford(paris)).queries
    assert len(found.images) == 3
    assert (query.positives.tolist(), query.junk.tolist()) == ([0], [2])


def test_an_image_in_two_folders_is_refused(paris: Path) -> None:
    (paris / "jpg" / "paris_defense_000605.jpg").touch()
    assert "holds 1 images in more than one of its folders: paris_defense_000605;" in _refusal(paris)


def test_folders_that_are_links_are_followed_and_not_in_circles(paris: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "gt").symlink_to(paris / "gt")
    (tmp_path / "linked" / "jpg").symlink_to(paris / "jpg")
    (paris / "jpg" / "paris" / "again").symlink_to(paris / "jpg")
    assert len(load_oxford(tmp_path / "linked").images) == 4


def test_a_list_in_another_encoding_is_named(root: Path) -> None:
    file = sorted((root / "gt").glob("*_ok.txt"))[0]
    file.write_bytes("é_000001\n".encode("latin1"))
    with pytest.raises(ValueError, match=rf"{file.name} is no text in UTF-8"):
        load_oxford(root)


def test_what_lies_between_the_images_is_counted(root: Path) -> None:
    for name in ("Thumbs.db", "._keble_000001.jpg", "keble_000001.png", "paris_louvre_000136.jpg"):
        (root / "jpg" / name).touch()
    oxford = load_oxford(root)
    assert [path.stem for path in oxford.images] == sorted(_IMAGES)
    assert str(oxford.left_out) == (
        "4 files left out: 1 .png (keble_000001.png), 1 hidden (._keble_000001.jpg), "
        "1 known to be corrupt (paris_louvre_000136.jpg), 1 left by an operating system (Thumbs.db)"
    )


def test_a_set_without_a_jpg_is_read_whatever_its_images_are(root: Path) -> None:
    for image in _IMAGES:
        (root / "jpg" / f"{image}.jpg").rename(root / "jpg" / f"{image}.webp")
    assert [path.stem for path in load_oxford(root).images] == sorted(_IMAGES)
