from retrieval.datasets.left_out import HIDDEN, LeftOut, Listing


def test_nothing_left_out_is_false_and_says_nothing() -> None:
    assert not LeftOut()
    assert str(LeftOut()) == ""
    assert LeftOut.of(HIDDEN, []) == LeftOut()


def test_reasons_are_told_by_their_counts_with_the_first_names() -> None:
    left_out = LeftOut.count_all([(".heic", f"{number}.heic") for number in (4, 2, 3, 1)] + [(HIDDEN, ".a.jpg")])
    assert left_out.count == 5
    assert str(left_out) == "5 files left out: 4 .heic (1.heic, 2.heic, 3.heic and 1 more), 1 hidden (.a.jpg)"


def test_counts_of_several_folders_are_added_and_keep_the_first_names() -> None:
    both = LeftOut.of(HIDDEN, [".a", ".b"]) + LeftOut.of(HIDDEN, [".c", ".d"]) + LeftOut.of(".txt", ["e.txt"])
    assert both.by_reason[HIDDEN].count == 4
    assert both.by_reason[HIDDEN].first == (".a", ".b", ".c")
    assert both.count == 5


def test_names_of_a_listing_are_those_below_another_folder() -> None:
    listed = Listing(["1.jpg"], LeftOut.of(HIDDEN, [".2.jpg"])).below("a")
    assert listed.names == ["a/1.jpg"]
    assert str(listed.left_out) == "1 file left out: 1 hidden (a/.2.jpg)"


def test_a_name_that_is_no_utf8_is_told_escaped() -> None:
    assert str(LeftOut.of(HIDDEN, [".caf\udce9"])) == r"1 file left out: 1 hidden (.caf\xe9)"
