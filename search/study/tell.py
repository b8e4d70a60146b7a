"""Results that the study is told: the values of finished trials, or why a trial has none."""

import math
from collections.abc import Mapping

import optuna
from optuna.trial import FrozenTrial, TrialState
from optuna.trial import Trial as OptunaTrial

from tracking.limits import Limits
from tracking.record import TrialRecord

# User attributes of an Optuna trial.
IDENTITY = "identity"  # of the schedule that it was handed out with
REPEAT_OF = "repeat_of"  # the number of the trial that had the same schedule first
EXCLUDED = "excluded"  # the limit that its cost lies outside of
MESSAGE = "message"  # why it has no values
EPOCHS = "epochs"  # that were trained


def counts(trial: FrozenTrial) -> bool:
    """Return whether a trial counts towards the budget of trials."""
    ended = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
    return ended and REPEAT_OF not in trial.user_attrs and EXCLUDED not in trial.user_attrs


def trial_of(study: optuna.Study, number: int) -> OptunaTrial:
    """Return the trial of that number as one that can still be told; params that the journal holds stay as they are."""
    return OptunaTrial(study, frozen_trial(study, number)._trial_id)


def frozen_trial(study: optuna.Study, number: int) -> FrozenTrial:
    """Return the trial of that number as the journal has it."""
    return study.get_trials(deepcopy=False)[number]


def constrain(trial: OptunaTrial, violations: Mapping[str, float]) -> None:
    """Tell the study a trial's constraints, also those that it meets (0 or less), each once."""
    known = trial.constraints
    for limit, violation in violations.items():
        if limit not in known:
            trial.set_constraint(limit, violation)


def tell_record(trial: OptunaTrial, record: TrialRecord, objectives: tuple[str, ...], limits: Limits) -> FrozenTrial:
    """Tell the study what a record says: finished → COMPLETE, stopped or excluded → PRUNED, failed → FAIL.

    A finished trial that lacks a finite value of an objective is PRUNED.

    Args:
        trial: of the study.
        record: that the trial left.
        objectives: metric keys, in the study's order.
        limits: whose violations by the record's metrics are told too.

    Returns:
        The trial as the study has it then.
    """
    message = record.message
    state = {"finished": TrialState.COMPLETE, "failed": TrialState.FAIL}.get(record.status, TrialState.PRUNED)
    values = [record.metrics.get(key, math.nan) for key in objectives]
    infinite = [key for key, value in zip(objectives, values, strict=True) if not math.isfinite(value)]
    if infinite and state is TrialState.COMPLETE:
        state, message = TrialState.PRUNED, f"no finite value of {', '.join(infinite)}"
    constrain(trial, limits.violations(record.metrics))
    if message and state is not TrialState.COMPLETE:
        trial.set_user_attr(EXCLUDED if record.status == "excluded" else MESSAGE, message)
    trial.set_user_attr(EPOCHS, len(record.curve))
    return trial.study.tell(trial, values if state is TrialState.COMPLETE else None, state)


def tell_excluded(trial: OptunaTrial, message: str) -> None:
    """Tell the study that a proposal is never handed out: its counted cost lies outside the limits."""
    trial.set_user_attr(EXCLUDED, message)
    trial.study.tell(trial, state=TrialState.PRUNED)


def tell_repeat(trial: OptunaTrial, number: int) -> None:
    """Tell the study that a proposal repeats the schedule of trial `number`, with its values if it has finished."""
    first = frozen_trial(trial.study, number)
    trial.set_user_attr(REPEAT_OF, number)
    constrain(trial, first.constraints)
    if first.state is TrialState.COMPLETE:
        trial.study.tell(trial, first.values)
    else:
        trial.study.tell(trial, state=TrialState.PRUNED)
