"""A table of trials that a formula made: what it answers for them, and for schedules that it never saw."""

from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from pruning.cost import cost_of
from pruning.graph.groups import PrunableGroup, find_groups
from pruning.methods.l1 import L1
from pruning.schedule import Schedule
from pruning.surgery import cut
from retrieval.runtime.latency import LatencySettings
from tracking.record import EpochPoint, TrialRecord, count_metrics
from tracking.sensitivity import CutPoint, GroupSensitivity, SensitivityMap
from trainables.baseline import build_dense
from trainables.settings import (
    DataSettings,
    FinetuneSettings,
    NetworkSettings,
    TrainingSettings,
    TrialSettings,
    example_image,
)
from trainables.simulation.recorded import RecordedTable, write_table

SETTINGS = TrialSettings(
    data=DataSettings(root=Path("data/mini"), image_size=64),
    network=NetworkSettings(name="mini_resnet", descriptor_size=128),
    dense=TrainingSettings(epochs=1, learning_rate=1e-3),
    finetune=FinetuneSettings(),
    latency=LatencySettings(image_size=64),
)
NETWORK, IMAGE = build_dense(SETTINGS.network, classes=0).eval(), example_image(64)
GROUPS = tuple(find_groups(NETWORK, IMAGE))
FREE = tuple(group for group in GROUPS if not group.locked)
EPOCHS, NOISE = 4, 0.01
METHODS = ("plfp", "l1")


def schedule_of(rng: np.random.Generator) -> Schedule:
    method = METHODS[rng.integers(2)]
    return Schedule(
        method=method,
        ratios={group.id: float(rng.integers(group.width // 8) * 8 / group.width) for group in FREE},
        decay=round(float(rng.uniform(0, 0.6)), 2) if method == "plfp" else None,
        epochs=EPOCHS,
        learning_rate=1e-3,
    )


def true_maps(schedule: Schedule) -> np.ndarray:
    """The mAP after each epoch, without noise."""
    ratios = np.array([schedule.ratios[group.id] for group in FREE])
    lost = 0.5 * (ratios**2).mean() + 0.1 * ratios[0] * ratios[1] + 0.05 * (schedule.method == "l1")
    return (0.8 - lost) * (1 - 0.4 * np.exp(-np.arange(1, EPOCHS + 1)))


def build_costs(schedule: Schedule) -> dict[str, float]:
    """By really cutting."""
    plan = L1().choose(NETWORK, GROUPS, schedule.ratios, schedule.round_to)
    return count_metrics(cost_of(cut(NETWORK, plan, IMAGE), IMAGE), cost_of(NETWORK, IMAGE))


def speedup_of(schedule: Schedule) -> float:
    return 1 / (0.1 + 0.9 * float(np.mean([1 - schedule.ratios[group.id] for group in FREE])) ** 2)


def record_of(number: int, schedule: Schedule, rng: np.random.Generator, epochs: int = EPOCHS) -> TrialRecord:
    maps = true_maps(schedule) + rng.normal(0, NOISE, EPOCHS)
    points = [EpochPoint(epoch=e, loss=1 / e, map=maps[e - 1], seconds=2.0) for e in range(1, epochs + 1)]
    counted = dict.fromkeys(("parameters", "macs", "size_bytes", "mac_ratio", "compression"), 1.0)
    metrics = {**counted, "speedup": speedup_of(schedule), "map": float(maps[-1])}
    return TrialRecord(number=number, status="finished", schedule=schedule, curve=points, metrics=metrics)


def sensitivity_of(groups: tuple[PrunableGroup, ...]) -> SensitivityMap:
    return SensitivityMap(
        network="mini_resnet",
        method="l1",
        quality="map",
        dense=0.8,
        dense_macs=1000,
        ratios=(0.5,),
        round_to=8,
        groups=tuple(
            GroupSensitivity(
                group=group.id,
                width=group.width,
                points=(CutPoint(kept=group.width // 2, quality=0.7 - index / 100, macs_saved=100),),
            )
            for index, group in enumerate(groups)
        ),
    )


def write(path: Path, records: list[TrialRecord]) -> Path:
    write_table(path, records, GROUPS, SETTINGS, sensitivity_of(FREE))
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    rng = np.random.default_rng(0)
    records = [record_of(number, schedule_of(rng), rng) for number in range(150)]
    return write(tmp_path_factory.mktemp("table") / "table.parquet", records)


@pytest.fixture(scope="module")
def table(path) -> RecordedTable:
    return RecordedTable(path)


@pytest.fixture(scope="module")
def unseen() -> list[Schedule]:
    rng = np.random.default_rng(1)
    return [schedule_of(rng) for _ in range(60)]


def test_a_recorded_schedule_is_answered_as_it_was_recorded(table):
    rng = np.random.default_rng(0)
    for number in range(5):
        schedule = schedule_of(rng)
        assert table.curve(schedule) == record_of(number, schedule, rng).curve
        assert table.costs(schedule)["speedup"] == pytest.approx(speedup_of(schedule))


def test_a_recorded_schedule_is_known_whatever_its_patience_and_unnamed_groups(table):
    recorded = next(trial for trial in table.trials if trial.schedule.method == "plfp")
    patient = recorded.schedule.model_copy(update={"patience": 5})
    assert table.curve(patient) == recorded.curve
    ratios = {name: ratio for name, ratio in recorded.schedule.ratios.items() if ratio}
    assert table.curve(recorded.schedule.model_copy(update={"ratios": ratios})) == recorded.curve


def test_a_schedule_never_seen_is_answered_near_the_truth_with_the_noise_of_trials(table, unseen):
    errors = np.array([[p.map for p in table.curve(each)] - true_maps(each) for each in unseen])
    assert errors.shape == (60, EPOCHS)
    assert np.abs(errors.mean(axis=0)).max() < 0.01
    assert (errors.std(axis=0) < 2.5 * NOISE).all()
    assert (errors.std(axis=0) > 0.7 * NOISE).all()


def test_the_same_schedule_is_answered_the_same_by_every_reader(path, table, unseen):
    again = RecordedTable(path)
    assert again.curve(unseen[0]) == table.curve(unseen[0])
    assert again.costs(unseen[0]) == table.costs(unseen[0])


def test_counted_costs_are_those_of_a_network_that_is_really_cut(table, unseen):
    for schedule in unseen[:3]:
        assert build_costs(schedule).items() <= table.costs(schedule).items()


def test_the_speed_of_widths_never_seen_is_near_the_truth(table, unseen):
    errors = [np.log(table.costs(each)["speedup"] / speedup_of(each)) for each in unseen]
    assert np.sqrt(np.mean(np.square(errors))) < 0.1


def test_the_error_of_leaving_trials_out_is_that_of_answers_for_unseen_ones(table, unseen):
    maps, speed = table.left_out_errors()
    noiseless = np.array([table.quality_regression(table._features(each)[None])[0] for each in unseen])
    errors = 1 / (1 + np.exp(-noiseless)) - np.array([true_maps(each) for each in unseen])
    # The truth is without the noise that recorded trials have.
    expected = np.sqrt((errors**2).mean(axis=0) + NOISE**2)
    assert maps == pytest.approx(expected.tolist(), rel=0.35)
    off = [np.log(table.costs(each)["speedup"] / speedup_of(each)) for each in unseen]
    assert speed == pytest.approx(np.sqrt(np.mean(np.square(off))), rel=0.5)


def test_its_space_proposes_what_it_can_answer(table):
    space = table.space("independent")
    assert {group.id for group in space.free_groups} == {group.id for group in FREE}
    assert space.sensitivity == sensitivity_of(FREE).ranks()
    for params in space.ladder():
        assert params.get("method") in METHODS
    assert (table.epochs, table.space().longest_trial) == (EPOCHS, EPOCHS)


def test_a_method_that_was_not_recorded_is_refused(table, unseen):
    with pytest.raises(ValueError, match=r"'fpgm' was not recorded.*plfp|l1"):
        table.curve(unseen[0].model_copy(update={"method": "fpgm", "decay": None}))


def test_trials_of_unequal_length_make_no_table(tmp_path):
    rng = np.random.default_rng(0)
    records = [record_of(number, schedule_of(rng), rng, epochs=3 + number) for number in range(2)]
    with pytest.raises(ValueError, match=r"\[3, 4\] epochs"):
        write(tmp_path / "table.parquet", records)


def test_another_parquet_is_no_table(tmp_path):
    parquet.write_table(pyarrow.table({"number": [1]}), tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="not a table of recorded trials"):
        RecordedTable(tmp_path / "other.parquet")
