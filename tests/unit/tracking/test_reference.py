"""Where hypervolumes are measured from."""

import pytest

from tracking.reference import check_given, reference_point

DENSE = {"map": 0.75, "macs": 4e7}


@pytest.mark.parametrize(
    ("objectives", "given", "expected"),
    [
        (("map", "speedup"), {}, (0.6, 1.0)),
        (("map", "macs", "compression"), {}, (0.6, 4e7, 1.0)),
        (("map", "speedup"), {"map": 0.5}, (0.5, 1.0)),
        (("map", "speedup"), {"map": "-0.10", "speedup": "-0.5"}, (0.65, 0.5)),
        (("map", "macs"), {"macs": "+1e7"}, (0.6, 5e7)),
    ],
)
def test_a_reference_is_absolute_relative_or_what_a_person_would_accept(objectives, given, expected):
    check_given(given, objectives)
    assert reference_point(objectives, DENSE, given) == pytest.approx(expected)


def test_a_quality_that_was_not_scored_counts_from_0():
    assert reference_point(("map", "speedup"), {}) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"map": 0.8}, r"reference\.map is 0\.8, and the dense network has 0\.75: .* excludes the dense network"),
        ({"macs": 3e7}, r"reference\.macs is 3.*excludes the dense network; at least its own .*\[limits\]"),
    ],
)
def test_a_reference_that_excludes_the_dense_network_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        reference_point(("map", "macs"), DENSE, given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size_bytes": 1.0}, "'size_bytes' is no objective of this sweep"),
        ({"map": "+0.1"}, "excludes the dense network"),
        ({"speedup": 1.5}, "excludes the dense network"),
        ({"map": 80.0}, r"a fraction in \[0, 1\)"),
        ({"map": "0.5"}, "a signed one in quotes"),
        ({"map": "a lot"}, "a number is right"),
    ],
)
def test_what_can_be_no_reference_is_refused_before_the_dense_network_is_known(given, said):
    with pytest.raises(ValueError, match=said):
        check_given(given, ("map", "speedup"))
