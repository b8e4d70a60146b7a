"""Schedules, presets and proposals are the same to the byte as those of the version before methods declared their own.

The literals were written by that version; journals and records hold them.
"""

import json
from pathlib import Path
from typing import Any

import optuna
import pytest

from pruning.graph.groups import PrunableGroup
from pruning.identity import sha256_prefix
from pruning.schedule import Schedule
from spaces.params import params_of, schedule_of
from spaces.preset import load_preset
from spaces.scripted_sampler import ScriptedSampler
from spaces.space import Space

# One schedule a line: its identity, then its JSON.
SCHEDULES = [line.split(" ", 1) for line in Path(__file__).with_name("schedules_before.txt").read_text().splitlines()]
PRESETS = {
    "controls": "f1284aedca08aaac",
    "filters": "888b92fb56071945",
    "filters_pq": "56b75cd331a1ec69",
    "trained_pq": "d8a525004fcd0aaf",
}
# preset, its changes, what is preferred, names of the dimensions in the order of asking, identity of the proposal
PROPOSALS: list[tuple[str, dict[str, Any], dict[str, Any], list[str], str]] = [
    (
        "filters",
        {},
        {"method": "plfp", "level": 0.5, "decay": 0.123},
        ["method", "level", "offset:a", "offset:b", "decay"],
        "46e9ee2a86cd561b",
    ),
    (
        "filters",
        {"neighbours": [2, 4]},
        {"method": "plfp", "level": 0.5},
        ["method", "level", "offset:a", "offset:b", "decay", "neighbours"],
        "92b35b72eea0d0ce",
    ),
    (
        "filters",
        {"neighbours": [2, 4]},
        {"method": "fpgm", "level": 0.5},
        ["method", "level", "offset:a", "offset:b"],
        "e978c8f029457f4a",
    ),
    (
        "controls",
        {"neighbours": [2, 4]},
        {"method": "local_zeroing", "level": 0.5, "neighbours": 3},
        ["method", "level", "neighbours"],
        "e7e1faae5528d72d",
    ),
    ("controls", {"neighbours": 3}, {"method": "fpgm_decay"}, ["method", "level", "decay"], "784e52f2a9dcbcf2"),
    (
        "filters_pq",
        {},
        {"method": "l1", "level": 0.25},
        ["method", "level", "offset:a", "offset:b", "share", "bits", "bits_offset:a", "bits_offset:b"],
        "5da309402bda9d7c",
    ),
    ("trained_pq", {}, {}, ["share", "bits", "bits_offset:a", "bits_offset:b"], "62130e40ca096df9"),
]
# preset, its changes, hashes of forty random proposals, and of ladder and grid
WALKS: list[tuple[str, dict[str, Any], str, str]] = [
    ("controls", {}, "f775edfacf0b5f01", "13e9d6d78f3dc659"),
    ("controls", {"neighbours": [1, 5], "epochs": [2, 9]}, "f4c95e1aae1fc076", "9a591216b9de632e"),
    ("filters", {}, "dfa9a9a60101374c", "468c31627e7bef1d"),
    ("filters", {"neighbours": [1, 5], "epochs": [2, 9]}, "4e056d72737ba13a", "befc53f33815eca6"),
    ("filters_pq", {}, "00b6a6cc52645fef", "2cac927febaa9722"),
    ("filters_pq", {"neighbours": [1, 5], "epochs": [2, 9]}, "2614f799857cff0f", "e55c86aa9c26e662"),
    ("trained_pq", {}, "706e4f3947d02567", "c91054409cc4c44b"),
    ("trained_pq", {"neighbours": [1, 5], "epochs": [2, 9]}, "706e4f3947d02567", "c91054409cc4c44b"),
]


def group(name: str, width: int) -> PrunableGroup:
    return PrunableGroup(name, members=(name,), norms=(), norm_starts=(), width=width, locked=False)


def build_space(preset: str, changes: dict[str, Any]) -> Space:
    groups = (group("a", 64), group("b", 128))
    return Space(groups, load_preset(preset, **changes), epochs=3, learning_rate=1e-3)


@pytest.mark.parametrize(("identity", "text"), SCHEDULES)
def test_a_schedule_of_before_is_read_and_written_as_it_was(identity: str, text: str) -> None:
    schedule = Schedule.model_validate_json(text)
    assert schedule.model_dump_json() == text
    assert schedule.identity == identity
    assert schedule_of(params_of(schedule)) == schedule


@pytest.mark.parametrize("preset", PRESETS)
def test_a_presets_part_of_a_sweeps_identity_is_what_it_was(preset: str) -> None:
    entries = json.dumps(load_preset(preset).model_dump(mode="json"), sort_keys=True)
    assert sha256_prefix(entries) == PRESETS[preset]


@pytest.mark.parametrize(("preset", "changes", "preferred", "asked", "identity"), PROPOSALS)
def test_a_space_asks_and_proposes_what_it_did(
    preset: str, changes: dict[str, Any], preferred: dict[str, Any], asked: list[str], identity: str
) -> None:
    space = build_space(preset, changes)
    sampler = ScriptedSampler(space.point(preferred))
    assert space.propose(sampler).identity == identity
    assert list(sampler.params) == asked


@pytest.mark.parametrize(("preset", "changes", "proposals", "points"), WALKS)
def test_a_sampler_of_the_same_seed_proposes_what_it_did(
    preset: str, changes: dict[str, Any], proposals: str, points: str
) -> None:
    space = build_space(preset, changes)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    assert sha256_prefix("".join(space.propose(study.ask()).identity for _ in range(40))) == proposals
    assert sha256_prefix(json.dumps([space.ladder(), space.grid(3)])) == points
