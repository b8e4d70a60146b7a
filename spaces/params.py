"""A Schedule as the flat params that a table shows, and back: exact both ways."""

from collections.abc import Mapping
from typing import Any

from pruning.methods.registry import all_hyperparameters
from pruning.schedule import Schedule

Params = dict[str, str | int | float]

# Colons and dots, not slashes: Ray nests names with a slash.
RATIO, BITS = "ratio:", "bits:"
_STAGES = ("sparsity", "quantization")


def params_of(schedule: Schedule) -> Params:
    """Return one flat key a decision; absent where it is None; True and False as 1 and 0.

    `method`, `epochs`, …; `sparsity.share`, `quantization.bits`, …; `ratio:<group id>` and `bits:<group id>`.
    """
    fields = schedule.model_dump(exclude_none=True)
    fields |= fields.pop("hyperparameters", {})
    ratios = {f"{RATIO}{group}": ratio for group, ratio in fields.pop("ratios").items()}
    bits: dict[str, int] = {}
    for stage in _STAGES:
        entries = fields.pop(stage, {})
        bits |= {f"{BITS}{group}": count for group, count in entries.pop("group_bits", {}).items()}
        fields |= {f"{stage}.{key}": value for key, value in entries.items()}
    flat = {key: int(value) if isinstance(value, bool) else value for key, value in fields.items()}
    return {**flat, **ratios, **bits}


def schedule_of(params: Mapping[str, str | int | float]) -> Schedule:
    """Return the Schedule whose `params_of` these are.

    Raises:
        ValueError: an unknown key, or a value that a Schedule refuses.
    """
    fields: dict[str, Any] = {"ratios": {}}
    for key, value in params.items():
        stage, _, field = key.partition(".")
        if key.startswith(RATIO):
            fields["ratios"][key.removeprefix(RATIO)] = value
        elif key.startswith(BITS):
            fields.setdefault("quantization", {}).setdefault("group_bits", {})[key.removeprefix(BITS)] = value
        elif stage in _STAGES and field:
            fields.setdefault(stage, {})[field] = value
        elif key in Schedule.model_fields or key not in all_hyperparameters():
            fields[key] = value
        else:
            fields.setdefault("hyperparameters", {})[key] = value
    return Schedule.model_validate(fields)
