"""The features say what the network is after the cut."""

import pytest

from pruning.graph.groups import PrunableGroup
from search.study.ehvi.candidates import Candidates
from spaces.preset import load_preset
from spaces.space import Space

GROUPS = tuple(PrunableGroup(n, members=(n,), norms=(), norm_starts=(), width=64, locked=False) for n in "ab")


def candidates(preset: str = "filters", **changes) -> Candidates:
    space = Space(groups=GROUPS, preset=load_preset(preset, **changes), epochs=4, learning_rate=0.1)
    return Candidates(space, lambda schedule: {"mac_ratio": 4.0, "compression": 1.0})


def features_of(found: Candidates, **params) -> dict[str, float]:
    return dict(zip(found.features.names, found.of(params).features_F.tolist(), strict=True))


def test_proposals_that_cut_alike_are_one_point():
    found = candidates(methods=["l1"])
    one = features_of(found, **{"level": 0.5, "offset:a": 0.0, "offset:b": 0.0})
    other = features_of(found, **{"level": 0.4, "offset:a": 0.1, "offset:b": 0.1})
    assert one == other == {"mac_ratio": 0.5, "compression": 1.0, "ratio:a": 0.5, "ratio:b": 0.5}


def test_what_a_method_does_not_have_is_in_the_middle():
    found = candidates(neighbours=[1, 5], epochs=[2, 6])
    l1 = features_of(found, method="l1", epochs=6)
    plfp = features_of(found, method="plfp", decay=0.6, neighbours=2, epochs=2)
    assert (l1["l1"], l1["plfp"], l1["decay"], l1["neighbours"], l1["epochs"]) == (1, 0, 0.5, 0.5, 1)
    assert (plfp["l1"], plfp["plfp"], plfp["decay"], plfp["neighbours"]) == (0, 1, 1, pytest.approx(0.25))


def test_bits_and_shares_of_a_last_stage_are_features():
    found = candidates("filters_pq")
    few = features_of(found, **{"bits": 4, "bits_offset:a": -1, "share": 0.8})
    assert (few["bits"], few["bits:a"], few["share"]) == (0, 0, 1)
