from pathlib import Path

import numpy as np
import pytest

from retrieval.datasets.reid_names import PRESETS, Sightings, alike, name_rule

ROOT = Path("set")


@pytest.mark.parametrize(
    ("preset", "name", "identity", "camera"),
    [
        ("market1501", "0002_c1s1_000451_03.jpg", 2, 1),
        ("market1501", "a/0002_c12s1_000451_03.jpg", 2, 12),
        ("market1501", "0002_c002s1_000451_03.jpg", 2, 2),
        ("veri", "0776_c020_00030600_0.jpg", 776, 20),
        ("dukemtmc", "0001_c2_f0046182.jpg", 1, 2),
        ("msmt17", "0000/0000_000_01_0303morning_0015_0.jpg", 0, 1),
        ("msmt17", "0012_034_15_0113noon_0150_2_ex.jpg", 12, 15),
        ("cuhk03", "1467_c2_10.png", 1467, 2),
    ],
)
def test_published_names_are_read(preset: str, name: str, identity: int, camera: int) -> None:
    seen = PRESETS[preset].read(ROOT, [name])
    assert (seen.names, seen.identities_N.tolist(), seen.cameras_N.tolist()) == ([name], [identity], [camera])


def test_every_preset_reads_its_own_example() -> None:
    for rule in PRESETS.values():
        assert len(rule.read(ROOT, [rule.example]).names) == 1


def test_junk_and_nobody_are_market_1501s_alone() -> None:
    market, own = PRESETS["market1501"], name_rule(r"(?P<identity>-?\d+)_c(?P<camera>\d).*")
    names = ["-1_c1s1_000401_03.jpg", "0000_c1s1_000151_01.jpg", "0001_c1s1_000151_01.jpg"]
    seen = market.read(ROOT, names)
    assert seen.names == names[1:]
    assert market.shows_nobody(seen).tolist() == [True, False]
    assert own.read(ROOT, names).identities_N.tolist() == [-1, 0, 1]
    assert not own.shows_nobody(own.read(ROOT, names)).any()
    assert not PRESETS["msmt17"].shows_nobody(PRESETS["msmt17"].read(ROOT, [PRESETS["msmt17"].example])).any()


def test_a_regular_expression_may_match_with_the_suffix_or_without() -> None:
    for pattern in (r"car(?P<identity>\w+)@(?P<camera>\w+)", r"car(?P<identity>\w+)@(?P<camera>\w+)\.jpg"):
        seen = name_rule(pattern).read(ROOT, ["carA7@north.jpg", "car12@south.jpg"])
        assert seen.identities_N.tolist() == ["A7", "12"]
        assert seen.cameras_N.tolist() == ["north", "south"]


def test_a_group_junk_leaves_out_the_images_that_it_matches() -> None:
    rule = name_rule(r"(?P<identity>\d+)_c(?P<camera>\d+)(?P<junk>_blurred)?")
    assert rule.read(ROOT, ["1_c1.jpg", "2_c1_blurred.jpg"]).names == ["1_c1.jpg"]


def test_numbers_among_texts_are_compared_without_their_zeros() -> None:
    rule = name_rule(r"(?P<identity>\w+)-(?P<camera>\d+)")
    database, query = rule.read(ROOT, ["0002-1.jpg", "x-1.jpg"]), rule.read(ROOT, ["2-2.jpg"])
    ours, theirs = alike(database.identities_N, query.identities_N)
    assert (ours.tolist(), theirs.tolist()) == (["2", "x"], ["2"])
    assert database.and_then(query).identities_N.tolist() == ["2", "x", "2"]


def test_sightings_are_chosen_by_index_or_by_a_boolean_each() -> None:
    seen = Sightings(["a", "b"], np.array([1, 2]), np.array([3, 4]))
    assert seen.only(np.array([1])).names == seen.only(np.array([False, True])).names == ["b"]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(?P<identity>", r"is no regular expression \(missing \), unterminated subpattern"),
        (r"(\d+)_c(\d+)", "lacks the named group identity and camera"),
        (r"(?P<identity>\d+).*", "lacks the named group camera"),
        (r"(?P<camera>\d+).*", "lacks the named group identity"),
        ("vari", r"'vari' \(did you mean 'veri'\?\) lacks"),
        ("", "lacks the named group identity and camera"),
        (r"(?P<identity>\d+)_(?P<camera>\d+)_(?P<cam>\d)", "has the group cam; identity, camera and junk are known"),
    ],
)
def test_a_pattern_that_cannot_be_right_is_refused_on_one_line(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        name_rule(pattern)
    assert "\n" not in str(caught.value)


def test_names_that_do_not_match_are_counted_with_what_would_be_right() -> None:
    with pytest.raises(ValueError, match=r"^set holds 1 images whose names do not tell identity and camera") as caught:
        PRESETS["veri"].read(ROOT, ["0002_c002_00030600_0.jpg", "caf\udce9\n.jpg"])
    message = str(caught.value)
    assert r"by the pattern of VeRi-776: caf\xe9\n.jpg; 0002_c002_00030600_0.jpg would be right" in message
    assert all(name in message for name in PRESETS)
    assert r"'(?P<identity>\d+)_c(?P<camera>\d+)_.*'" in message


def test_an_empty_identity_or_camera_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1 images whose names do not tell .*: _c1\.jpg; "):
        name_rule(r"(?P<identity>\d*)_c(?P<camera>\d+)").read(ROOT, ["1_c1.jpg", "_c1.jpg"])


def test_a_pattern_that_cuts_a_number_is_refused() -> None:
    rule = name_rule(r"(?P<identity>\d+)_c(?P<camera>\d).*")
    assert rule.read(ROOT, ["1_c1_a.jpg", "1_c2_a.jpg"]).cameras_N.tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"cuts a number: camera is '1' in '1_c12_a'; .* such as \(\?P<camera>"):
        rule.read(ROOT, ["1_c1_a.jpg", "1_c12_a.jpg"])


def test_numbers_of_fixed_width_may_follow_each_other() -> None:
    rule = name_rule(r"(?P<identity>\d{4})(?P<camera>\d{2})\d{3}")
    seen = rule.read(ROOT, ["000201001.jpg", "000312002.jpg"])
    assert (seen.identities_N.tolist(), seen.cameras_N.tolist()) == ([2, 3], [1, 12])
