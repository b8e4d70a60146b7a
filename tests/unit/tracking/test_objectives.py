import pytest

from tracking.objectives import check_objectives, check_reported, reported_metrics
from tracking.record import METRICS


@pytest.mark.parametrize(
    "objectives",
    [
        ("map", "speedup"),
        ("map", "speedup", "compression"),
        ("recall_at_1", "macs", "size_bytes"),
        ("map_hard", "latency_ms"),
        ("map_asymmetric", "index_bytes", "search_ms"),
    ],
)
def test_a_quality_and_one_or_two_costs_can_be_objectives(objectives):
    check_objectives(objectives)


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ((), "a quality first"),
        (("map",), "one or two costs"),
        (("speedup", "map"), "a quality first"),
        (("map", "map_hard"), "one or two costs"),
        (("map", "speedup", "macs", "size_bytes"), "one or two costs"),
        (("map", "speedup", "speedup"), "each once"),
        (("map", "pruned_weights"), "one or two costs"),
        (("map", "speedpu"), "unknown objective 'speedpu': did you mean 'speedup'"),
        (("test_map", "speedup"), "'test_map' cannot be an objective.*'map' can"),
    ],
)
def test_anything_else_is_refused(objectives, message):
    with pytest.raises(ValueError, match=message):
        check_objectives(objectives)


@pytest.mark.parametrize(
    ("key", "needs"),
    [
        ("map_hard", "revisited queries"),
        ("mp_at_5_easy", "revisited queries"),
        ("cmc_at_1", "market queries"),
        ("recall_at_1", "places queries"),
        ("map_asymmetric", "evaluation.gallery"),
        ("search_ms", "evaluation.index"),
    ],
)
def test_an_objective_that_nobody_reports_says_what_it_needs(key, needs):
    with pytest.raises(ValueError, match=f"no trial reports the objective '{key}': it needs .*{needs}"):
        check_reported((key,), reported_metrics("classic"))


def test_what_is_reported_follows_the_protocol_and_the_evaluation():
    check_reported(("map_hard", "speedup"), reported_metrics("revisited"))
    check_reported(("cmc_at_1", "macs"), reported_metrics("market"))
    check_reported(("recall_at_20", "macs"), reported_metrics("places"))
    check_reported(("map_asymmetric", "index_bytes"), reported_metrics("classic", asymmetric=True, indexed=True))
    check_reported(("recall_at_1", "mp_at_10"), reported_metrics(None))
    assert "map_hard" not in reported_metrics("places")


def test_every_metric_that_is_reported_is_described_and_has_a_better_side():
    reported = reported_metrics(None, asymmetric=True, indexed=True)
    assert all(METRICS[key].sign for key in reported)
