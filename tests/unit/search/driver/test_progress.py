import io
from math import nan

from rich.console import Console

from pruning.schedule import Schedule
from search.driver.progress import SweepProgress
from search.study.budget import Budget
from tracking.record import TrialRecord

SCHEDULE = Schedule(method="fpgm", ratios={"a": 0.5}, epochs=2, learning_rate=0.1)


def record(number: int, score: float = nan, speedup: float = nan) -> TrialRecord:
    if score != score:
        return TrialRecord(number=number, status="failed", message="diverged", schedule=SCHEDULE)
    metrics = {"map": score, "speedup": speedup, "mac_ratio": 3.0}
    return TrialRecord(number=number, status="finished", schedule=SCHEDULE, metrics=metrics)


def progress(records: list[TrialRecord], terminal: bool = False) -> tuple[SweepProgress, io.StringIO]:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=200)
    return SweepProgress(console, records, budget=Budget(trials=4), epochs=2, objectives=("map", "speedup")), output


def test_the_summary_counts_trials_best_map_and_the_front():
    shown, output = progress([record(0, 0.5, 1.0)])
    for number in (1, 2, 3):
        shown.started(number)
    shown.epoch(1, 1)
    assert shown.summary().startswith("1/4 trials, 3 running, 0 failed | best mAP 50.0% | front 1 | 0:00:0")
    shown.ended(record(1, 0.4, 2.0))
    shown.ended(record(2, 0.3, 1.5))
    shown.ended(record(3))
    assert shown.summary().startswith("3/4 trials, 0 running, 1 failed | best mAP 50.0% | front 2 |")
    lines = output.getvalue().splitlines()
    assert "trial   1 fpgm  mAP 40.0%  speedup ×2.00  MACs ÷ 3.00" in lines[0]
    assert "2/4 trials" in lines[0]
    assert "trial   3 fpgm  failed: diverged" in lines[2]


def test_before_the_first_epoch_no_time_is_promised():
    shown, _ = progress([])
    assert shown.summary() == "0/4 trials, 0 running, 0 failed | best mAP – | front 0 | ?:??:?? left"


def test_in_a_terminal_the_summary_stays_at_the_bottom_and_lines_do_not_repeat_it():
    shown, output = progress([], terminal=True)
    with shown.shown():
        shown.started(0)
        shown.ended(record(0, 0.5, 1.0))
    text = output.getvalue()
    assert "1/4 trials" in text
    assert "MACs ÷ 3.00  [" not in text


def test_the_summary_follows_the_objectives():
    console = Console(file=io.StringIO(), width=200)
    records = [
        TrialRecord(
            number=number,
            status="finished",
            schedule=SCHEDULE,
            metrics={"map": 0.5, "speedup": 1.0, "recall_at_1": recall, "macs": macs},
        )
        for number, (recall, macs) in enumerate([(0.9, 3e9), (0.8, 2e9), (0.7, 4e9)])
    ]
    shown = SweepProgress(console, records, budget=Budget(trials=4), epochs=2, objectives=("recall_at_1", "macs"))
    assert "| best R@1 90.0% | front 2 |" in shown.summary()
