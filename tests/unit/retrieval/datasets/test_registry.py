from pathlib import Path

import pytest
from pydantic import ValidationError

from retrieval.datasets import formats
from retrieval.datasets.format import Source
from retrieval.datasets.formats.dbstruct import pick_dbstruct
from retrieval.datasets.miniature.mini import MiniSettings, write_mini
from retrieval.datasets.registry import FORMATS, discover_formats, open_retrieval, open_training, recognise, signs_of

SMALL = MiniSettings(
    image_size=32, training_places=8, views=3, places=2, queries_per_place=1, positives=4, junk=1, distractors=4
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("roots")


def _root(folder: Path, format: str) -> Path:
    write_mini(folder / format, settings=SMALL, format=format)
    return folder / format


@pytest.mark.parametrize(
    ("written", "path", "name"),
    [
        ("mini", "train", "folders"),
        ("mini", "val", "oxford"),
        ("oxford5k", "test/oxford5k", "oxford"),
        ("roxford5k", "test/roxford5k", "gnd"),
        ("roxford5k", "test/roxford5k/gnd_roxford5k.mat", "gnd"),
        ("roxford5k", "train/retrieval-SfM-120k", "sfm"),
        ("market1501", ".", "market1501"),
        ("market1501", "Market-1501-v15.09.15", "market1501"),
        ("pitts30k", "pitts30k", "dbstruct"),
        ("pitts30k", "pitts30k/datasets/pitts30k_val.mat", "dbstruct"),
        ("tokyo247", "tokyo247", "dbstruct"),
        ("utm", "town", "utm"),
        ("manifest", ".", "manifest"),
        ("manifest", "manifest.parquet", "manifest"),
    ],
)
def test_each_format_is_recognised(folder: Path, written: str, path: str, name: str) -> None:
    assert recognise(_root(folder, written) / path) == name


def test_every_format_says_what_it_is_for_people() -> None:
    for name, known in FORMATS.items():
        assert known.title, name
        assert known.layout, name


def test_formats_are_recognised_in_this_order() -> None:
    assert list(FORMATS) == ["oxford", "gnd", "market1501", "msmt17", "dbstruct", "utm", "sfm", "manifest", "folders"]


def test_no_two_formats_have_the_same_precedence() -> None:
    ranks = [(known.is_fallback, known.precedence) for known in FORMATS.values()]
    assert len(set(ranks)) == len(ranks)


def test_of_several_signs_in_a_folder_the_first_is_recognised_and_class_folders_last(tmp_path: Path) -> None:
    for name in ("jpg/1.jpg", "gt/a_1_query.txt", "gnd_a.pkl", "b.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert recognise(tmp_path) == "oxford"
    assert list(signs_of(tmp_path)) == ["oxford", "gnd", "manifest"]


def test_a_file_of_the_folder_that_exports_no_format_of_its_name_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nothing_here.py").write_text('"""Empty."""\n')
    monkeypatch.setattr(formats, "__path__", [str(tmp_path)])
    with pytest.raises(TypeError, match=r"nothing_here.py exports FORMAT = None; a Format named 'nothing_here'"):
        discover_formats()


def test_something_else_is_refused_with_all_layouts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is in no format that is known.*gnd_<name>\.pkl.*manifest\.parquet"):
        recognise(tmp_path)
    with pytest.raises(ValueError, match="nowhere does not exist"):
        recognise(tmp_path / "nowhere")


def test_a_source_refuses_unknown_keys_and_is_frozen() -> None:
    with pytest.raises(ValidationError, match="splits"):
        Source.model_validate({"path": "x", "splits": "val"})
    with pytest.raises(ValidationError, match="frozen"):
        Source().path = "y"  # type: ignore[misc]


def test_a_set_is_named_by_its_folder(folder: Path) -> None:
    root = _root(folder, "mini")
    assert open_retrieval(root, Source(path="val")).name == "val"
    assert open_retrieval(root / "val", Source()).name == "val"


@pytest.mark.parametrize(
    ("written", "source", "said"),
    [
        ("mini", Source(path="val", split="val"), "has no split 'val'; it is not split"),
        ("market1501", Source(split="train"), "has no split 'train'; there are test, val"),
        ("pitts30k", Source(path="pitts30k", split="dev"), "has no split 'dev'; there are test, train, val"),
        ("tokyo247", Source(path="tokyo247", split="val"), "has no split 'val'; there are test"),
        ("manifest", Source(split="dev"), "has no split 'dev'; there are test, train, val"),
        ("mini", Source(path="val", format="oxfrod"), "unknown format 'oxfrod'; known are oxford, gnd"),
        ("mini", Source(path="val", panoramas=True), "panoramas are of dbstruct"),
        ("pitts30k", Source(path="pitts30k", distractors="x"), "format dbstruct takes no distractors; oxford, gnd"),
        ("market1501", Source(distractors="more"), "distractors are 'more'"),
        ("mini", Source(path="val", distractors="none"), "none is missing"),
        ("mini", Source(path="nowhere"), "nowhere does not exist"),
        ("mini", Source(path="nowhere", format="oxford"), "nowhere does not exist"),
    ],
)
def test_what_a_source_of_queries_cannot_be_is_told_in_one_line(
    folder: Path, written: str, source: Source, said: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        open_retrieval(_root(folder, written), source)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "source", "said"),
    [
        ("mini", Source(path="val"), "is no training set (format oxford"),
        ("mini", Source(path="train", distractors="x"), "a training set takes neither"),
        ("market1501", Source(split="val"), "has no split 'val'; there are train, train_all"),
    ],
)
def test_what_a_source_of_training_images_cannot_be_is_told_in_one_line(
    folder: Path, written: str, source: Source, said: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        open_training(_root(folder, written), source)
    assert said in str(caught.value)


def test_images_of_class_folders_are_asked_for_one_another(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "a/2.jpg", "a/3.jpg", "b/1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = open_retrieval(tmp_path, Source())
    assert [query.name for query in found.queries] == ["a/1.jpg", "a/2.jpg", "a/3.jpg"]
    assert found.queries[1].positives.tolist() == [0, 2]
    assert found.queries[1].junk.tolist() == [1]
    (tmp_path / "a" / "2.jpg").unlink()
    (tmp_path / "a" / "3.jpg").unlink()
    with pytest.raises(ValueError, match="none of its 2 classes has two images"):
        open_retrieval(tmp_path, Source())


def test_a_split_in_two_files_is_told_by_naming_one(tmp_path: Path) -> None:
    for name in ("pitts30k_test.mat", "pitts250k_test.mat", "tokyo247.mat"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"holds 3 files for split 'test' \(pitts250k_test.mat, pitts30k_test"):
        pick_dbstruct(tmp_path, "test")
    assert pick_dbstruct(tmp_path / "tokyo247.mat", "test").name == "tokyo247.mat"
