"""Run in a copy of the project to which a metric was added: a trial reports it, and a sweep can be after it."""

import sys
from pathlib import Path

from pruning.schedule import Schedule
from search.config import load_config
from search.results.pick import describe
from tracking.charts.table import front_columns, front_rows
from tracking.front import build_front
from tracking.mlflow_runs.runs import final_metrics
from tracking.record import TrialRecord, read_record, write_record
from trainables.baseline import need_baseline
from trainables.trial import Trial

KEY = "parameter_ratio"

sweep, baselines, scratch = map(Path, sys.argv[1:])
config = load_config(sweep, overrides=[f'search.objectives=["map", "{KEY}"]'])
config.check_reported("classic")

schedule = Schedule(method="l1", ratios={"backbone.layer3.0.conv2": 0.5}, epochs=1, learning_rate=1e-3)
trial = Trial(schedule, config.trial_settings, need_baseline(config.trial_settings, baselines))
trial.step()
outcome = trial.finish(measure=None)
record = TrialRecord(
    number=0,
    status="finished",
    schedule=schedule,
    metrics={**outcome.metrics, "speedup": 1.0},
    ledger=outcome.ledger,
    plan=dict(outcome.plan),
)
write_record(scratch / "record.json", record)
assert read_record(scratch / "record.json").metrics[KEY] > 1

front = build_front("tiny", [record], {"map": 0.0, KEY: 1.0}, objectives=config.search.objectives)
(point,) = front.members()
assert "params ÷" in front_columns(front)
assert f"{point.metrics[KEY]:.2f}" in front_rows(front)[1]
assert f"params ÷ {point.metrics[KEY]:.2f}" in describe(point, front.objectives)
assert KEY in {metric.key for metric in final_metrics(record, at_ms=0)}
print(f"{KEY} is reported")
