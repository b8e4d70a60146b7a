"""Print as JSON the dimensions of spaces with the method of `lp_method.py`, and what they propose.

Run in a copy of the tree that has the method; the argument is a list of changes to the preset "filters", a space each.
"""

import dataclasses
import json
import sys
from typing import Any

from pruning.graph.groups import PrunableGroup
from pruning.schedule import Schedule
from spaces.dimensions import dimensions
from spaces.params import params_of, schedule_of
from spaces.preset import load_preset
from spaces.scripted_sampler import ScriptedSampler
from spaces.space import Space


def described(changes: dict[str, Any]) -> dict[str, Any]:
    group = PrunableGroup("a", members=("a",), norms=(), norm_starts=(), width=64, locked=False)
    space = Space((group,), load_preset("filters", **changes), epochs=3, learning_rate=1e-3)
    schedule = space.propose(ScriptedSampler({"method": "lp", "power": 1.5}))
    assert schedule_of(params_of(schedule)) == schedule
    assert Schedule.model_validate_json(schedule.model_dump_json()) == schedule
    return {
        "dimensions": {each.name: dataclasses.asdict(each) for each in dimensions(space)},
        "method": repr(schedule.build_method()),
        "params": params_of(schedule),
        "preset": space.preset.model_dump(mode="json"),
    }


print(json.dumps([described(changes) for changes in json.loads(sys.argv[1])]))
