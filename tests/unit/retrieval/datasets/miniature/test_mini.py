import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from retrieval.datasets.base import RetrievalSet
from retrieval.datasets.formats.folders import load_folder_per_class
from retrieval.datasets.formats.oxford import load_oxford
from retrieval.datasets.miniature.mini import MiniSettings, rate_views, write_mini
from retrieval.datasets.miniature.town import Place, lay_out
from retrieval.images import ImageReader

SMALL = MiniSettings(
    image_size=32,
    training_places=4,
    views=3,
    places=3,
    queries_per_place=2,
    positives=4,
    junk=1,
    distractors=5,
    places_per_street=2,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("benchmark") / "mini"
    write_mini(out, settings=SMALL)
    return out


@pytest.fixture(scope="module", params=["val", "test"])
def split(request: pytest.FixtureRequest, root: Path) -> RetrievalSet:
    return load_oxford(root / request.param)


def _pixel_hash(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.jpg")):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(np.asarray(Image.open(path)).tobytes())
    return digest.hexdigest()


def _place_of(path: Path) -> str:
    return path.stem.rpartition("_")[0]


def test_the_split_is_read_back_with_the_exact_counts(split: RetrievalSet) -> None:
    assert len(split.images) == SMALL.database_images == 3 * (4 + 1) + 5
    assert len(split.queries) == SMALL.queries == 3 * 2
    assert {query.positives.size for query in split.queries} == {4}
    assert {query.junk.size for query in split.queries} == {1}


def test_the_training_set_is_read_back_with_the_exact_counts(root: Path) -> None:
    training = load_folder_per_class(root / "train")
    assert len(training.classes) == 4
    assert np.bincount(training.labels).tolist() == [3, 3, 3, 3]


def test_every_answer_shows_the_place_asked_for_and_no_other_image_does(split: RetrievalSet) -> None:
    for query in split.queries:
        answers = {split.images[index] for index in np.concatenate([query.positives, query.junk])}
        assert answers == {path for path in split.images if _place_of(path) == _place_of(query.path)}
        assert query.name.startswith(_place_of(query.path))


def test_the_query_image_is_one_of_its_positives(split: RetrievalSet) -> None:
    for query in split.queries:
        assert split.images.index(query.path) in query.positives


def test_the_queries_of_a_place_are_different_images(split: RetrievalSet) -> None:
    assert len({query.path for query in split.queries}) == len(split.queries)


def test_query_boxes_lie_in_their_images(split: RetrievalSet) -> None:
    for query in split.queries:
        assert query.box is not None
        x1, y1, x2, y2 = query.box
        assert 0 <= x1 < x2 <= SMALL.image_size
        assert 0 <= y1 < y2 <= SMALL.image_size
    assert any(not corner.is_integer() for query in split.queries for corner in query.box or ())


def test_all_images_can_be_read(root: Path) -> None:
    paths = sorted(root.rglob("*.jpg"))
    images = ImageReader(None).read_many([(path, None) for path in paths])
    assert {tuple(image.shape) for image in images} == {(3, 32, 32)}


def test_training_validation_and_test_share_no_place(root: Path) -> None:
    folders = [root / "train", root / "val" / "jpg", root / "test" / "jpg"]
    train, val, test = ({_place_of(path) for path in folder.rglob("*.jpg")} for folder in folders)
    assert (len(train), len(val), len(test)) == (4, 8, 8)
    assert len(train | val | test) == 20


def test_training_validation_and_test_share_no_street() -> None:
    town = lay_out(training_places=601, places=47, distractors=201, places_per_street=6)
    training = {place.street for place in town.training}
    assert not training & town.val.streets
    assert not training & town.test.streets
    assert not town.val.streets & town.test.streets


def test_places_and_distractors_are_all_different_and_some_are_neighbours() -> None:
    split = lay_out(training_places=6, places=48, distractors=200, places_per_street=6).val
    assert len({*split.places, *split.distractors}) == 248
    asked = {place.street for place in split.places}
    assert sum(place.street in asked for place in split.distractors) == 100


def test_names_have_underscores_and_stay_unique_beyond_the_last_word() -> None:
    names = {Place(street, house).name for street in range(1000) for house in range(12)}
    assert len(names) == 12_000
    assert all("_" in name for name in names)


def test_good_views_are_easier_than_ok_ones_and_those_than_junk() -> None:
    difficulties = [0.7, 0.1, 0.95, 0.4, 0.3, 0.6]
    good, ok, junk = rate_views(difficulties, positives=5)
    assert (good, ok, junk) == ([1, 4, 3], [5, 0], [2])


def test_the_same_seed_draws_the_same_pixels_and_another_seed_others(root: Path, tmp_path: Path) -> None:
    for name, seed in (("again", 0), ("other", 1)):
        write_mini(tmp_path / name, seed=seed, settings=SMALL)
    assert _pixel_hash(tmp_path / "again") == _pixel_hash(root)
    assert _pixel_hash(tmp_path / "other") != _pixel_hash(root)


def test_an_existing_benchmark_is_left_as_it_is(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    write_mini(root, settings=SMALL)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_another_benchmark_is_not_overwritten_and_the_difference_is_told(root: Path) -> None:
    with pytest.raises(ValueError, match=r"holds another benchmark .*seed 0, asked 7"):
        write_mini(root, seed=7, settings=SMALL)
    with pytest.raises(ValueError, match="junk 1, asked 2"):
        write_mini(root, settings=SMALL.model_copy(update={"junk": 2}))


def test_a_folder_with_other_things_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match=r"holds thesis\.tex and no mini\.json"):
        write_mini(tmp_path, settings=SMALL)
    with pytest.raises(ValueError, match="is a file"):
        write_mini(tmp_path / "thesis.tex", settings=SMALL)
    (tmp_path / "mini.json").write_text('{"format": 99}')
    with pytest.raises(ValueError, match="not of this version"):
        write_mini(tmp_path, settings=SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mini.json", "thesis.tex"]


def test_nothing_is_left_when_drawing_is_interrupted(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_mini(tmp_path / "mini", settings=SMALL, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_another_process_may_finish_the_same_benchmark_first(tmp_path: Path) -> None:
    out = tmp_path / "mini"

    def overtake(done: int, total: int) -> None:
        if done == total:
            write_mini(out, settings=SMALL)

    write_mini(out, settings=SMALL, progress=overtake)
    assert list(tmp_path.iterdir()) == [out]
    assert len(load_oxford(out / "val").queries) == SMALL.queries


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "mini").mkdir()
    write_mini(tmp_path / "mini", settings=SMALL)
    assert (tmp_path / "mini" / "mini.json").is_file()


def test_progress_counts_every_image_once(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_mini(tmp_path / "mini", settings=SMALL, progress=lambda done, total: seen.append((done, total)))
    written = len(list((tmp_path / "mini").rglob("*.jpg")))
    assert seen == [(done, written) for done in range(1, written + 1)]


def test_the_manifest_says_seed_settings_and_counts(root: Path) -> None:
    manifest = json.loads((root / "mini.json").read_text())
    assert manifest["seed"] == 0
    assert manifest["settings"] == SMALL.model_dump()
    assert (manifest["training_images"], manifest["database_images"], manifest["queries"]) == (12, 20, 6)


def test_an_unknown_format_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown format 'oxfrod5k'; known are mini, oxford5k, paris6k"):
        write_mini(tmp_path / "out", settings=SMALL, format="oxfrod5k")
    assert list(tmp_path.iterdir()) == []


def test_another_format_is_another_benchmark(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_mini(out, settings=SMALL, format="utm")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    write_mini(out, settings=SMALL, format="utm")
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert list(tmp_path.iterdir()) == [out]
    with pytest.raises(ValueError, match=r"holds another benchmark .*format utm, asked mini"):
        write_mini(out, settings=SMALL)


def test_a_benchmark_from_before_there_were_formats_is_left_as_it_is(tmp_path: Path) -> None:
    write_mini(tmp_path / "mini", settings=SMALL)
    file = tmp_path / "mini" / "mini.json"
    manifest = json.loads(file.read_text())
    assert manifest.pop("written_as") == "mini"
    file.write_text(json.dumps(manifest))
    write_mini(tmp_path / "mini", settings=SMALL)
    assert json.loads(file.read_text()) == manifest


def test_settings_refuse_more_queries_than_positives_and_unknown_names() -> None:
    with pytest.raises(ValidationError, match="queries_per_place is 9 and positives 8"):
        MiniSettings(queries_per_place=9)
    with pytest.raises(ValidationError, match="houses"):
        MiniSettings.model_validate({"houses": 3})
