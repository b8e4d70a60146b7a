"""A Schedule as the flat params that a table shows, and back: exact both ways."""

from collections.abc import Mapping

from pruning.schedule import Schedule

Params = dict[str, str | int | float]

# A colon, not a slash: Ray nests names with a slash.
RATIO = "ratio:"


def params_of(schedule: Schedule) -> Params:
    """One flat key a decision: `method`, `epochs`, …, and `ratio:<group id>` for every group; absent where None."""
    fields = schedule.model_dump(exclude={"ratios"}, exclude_none=True)
    ratios = {f"{RATIO}{group}": ratio for group, ratio in schedule.ratios.items()}
    return {**fields, **ratios}


def schedule_of(params: Mapping[str, str | int | float]) -> Schedule:
    """The Schedule whose `params_of` these are.

    Raises:
        ValueError: an unknown key, or a value that a Schedule refuses.
    """
    ratios = {key.removeprefix(RATIO): value for key, value in params.items() if key.startswith(RATIO)}
    fields = {key: value for key, value in params.items() if not key.startswith(RATIO)}
    return Schedule.model_validate({**fields, "ratios": ratios})
