import pytest

from tracking.front import build_front, read_front

DENSE = {
    "map": 0.62,
    "map_low": 0.6,
    "map_high": 0.64,
    "test_map": 0.6,
    "size_bytes": 4e7,
    "latency_ms": 30.0,
}


def test_the_front_holds_finished_trials_by_number_and_marks_the_undominated(records):
    front = build_front("tiny", records, DENSE)
    assert [(point.number, point.on_front) for point in front.points] == [
        (0, True),
        (1, True),
        (2, False),
        (4, True),
    ]
    assert [point.number for point in front.members()] == [1, 4, 0]


def test_the_hypervolume_starts_where_the_sweep_file_says(records):
    front = build_front("tiny", records, DENSE, reference={"map": 0.0})
    assert front.reference == (0.0, 1.0)
    # Strips of speedup above 1: to 1.5 at 0.60, to 2.0 at 0.55, to 3.0 at 0.40.
    assert front.hypervolume == pytest.approx(0.5 * 0.60 + 0.5 * 0.55 + 1.0 * 0.40)


def test_the_hypervolume_starts_at_four_fifths_of_the_dense_quality_where_nothing_is_said(records):
    front = build_front("tiny", records, DENSE)
    assert front.reference == pytest.approx((0.8 * DENSE["map"], 1.0))


def test_an_objective_where_less_is_better_is_turned_round(make_record):
    small = make_record(0, 0.5, 2.0, metrics={"map": 0.5, "speedup": 2.0, "size_bytes": 1e7})
    large = make_record(1, 0.5, 2.0, metrics={"map": 0.5, "speedup": 2.0, "size_bytes": 3e7})
    front = build_front("tiny", [small, large], DENSE, objectives=("map", "size_bytes"), reference={"map": 0.0})
    assert [point.on_front for point in front.points] == [True, False]
    assert front.reference == (0.0, 4e7)
    assert front.hypervolume == pytest.approx(0.5 * 3e7)


def test_members_come_from_the_costliest_to_the_cheapest(make_record):
    sizes = {0: 1e7, 1: 3e7, 2: 2e7}
    records = [
        make_record(number, 0.5, 2.0, metrics={"map": size / 1e8, "speedup": 2.0, "size_bytes": size})
        for number, size in sizes.items()
    ]
    front = build_front("tiny", records, DENSE, objectives=("map", "size_bytes"))
    assert [point.number for point in front.members()] == [1, 2, 0]


def test_any_quality_is_measured_from_nothing(make_record):
    record = make_record(0, 0.5, 2.0, metrics={"map": 0.5, "speedup": 2.0, "recall_at_1": 0.25})
    front = build_front("tiny", [record], DENSE, objectives=("recall_at_1", "speedup"))
    assert front.reference == (0.0, 1.0)
    assert front.hypervolume == pytest.approx(0.25 * 1.0)


def test_a_trial_without_an_objective_is_listed_but_not_on_the_front(records):
    front = build_front("tiny", records, DENSE, objectives=("map", "speedup", "size_bytes"))
    assert [(point.number, point.on_front) for point in front.points][-1] == (4, True)
    assert not any(point.on_front for point in front.points[:-1])


def test_a_damaged_front_is_named(tmp_path):
    (tmp_path / "front.json").write_text('{"sweep": 1}')
    with pytest.raises(ValueError, match=r"front\.json is not a front"):
        read_front(tmp_path)


def test_a_trial_must_not_occur_twice(make_record):
    with pytest.raises(ValueError, match=r"trials \[7\] occur more than once"):
        build_front("tiny", [make_record(7, 0.5, 2.0), make_record(7, 0.6, 2.0)], DENSE)


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        (("map", "map_low"), "a quality first"),
        (("map", "mapp"), "unknown objective 'mapp'"),
        (("map", "macs"), "no 'macs'"),
    ],
)
def test_an_impossible_objective_is_refused(records, objectives, message):
    with pytest.raises(ValueError, match=message):
        build_front("tiny", records, DENSE, objectives=objectives)


def test_an_unknown_dense_metric_is_refused(records):
    with pytest.raises(ValueError, match="mapp"):
        build_front("tiny", records, {"mapp": 0.5})
