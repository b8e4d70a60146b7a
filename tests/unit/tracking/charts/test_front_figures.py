import io
import json
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from pruning.schedule import Quantization
from tracking.charts.front_chart import interactive_chart
from tracking.charts.front_figures import front_figure, front_html
from tracking.charts.terminal_tables import front_table, ledger_table
from tracking.front import build_front

DENSE = {"map": 0.62, "map_low": 0.6, "map_high": 0.64, "test_map": 0.6, "size_bytes": 4e7, "mac_ratio": 1.0}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture
def front(make_record):
    tested = {
        "map": 0.55,
        "map_low": 0.52,
        "map_high": 0.57,
        "speedup": 2.0,
        "test_map": 0.53,
        "mac_ratio": 2.4,
    }
    records = [
        make_record(0, 0.60, 1.5, method="l1"),
        make_record(1, 0.55, 2.0, metrics=tested),
        make_record(2, 0.50, 1.9, method="fpgm"),
    ]
    return build_front("tiny sweep", records, DENSE, provenance={"device": "a bench"})


class _Outline(HTMLParser):
    """Collects tags, addresses and the cells of the first table."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action") and value]

    def handle_data(self, data):
        self.text.append(data)


def _trace(front, name):
    return next(
        trace for trace in interactive_chart(front).data if trace.name == name and trace.showlegend is not False
    )


def test_the_page_asks_for_nothing_outside(front):
    outline = _Outline(front_html(front))
    assert outline.addresses == []
    assert not {"link", "iframe", "img", "object", "embed"} & set(outline.tags)


def test_the_page_forbids_the_browser_every_request(front):
    policy = re.search(r'Content-Security-Policy"\s+content="([^"]+)"', front_html(front)).group(1)
    assert "default-src 'none'" in policy
    assert "form-action 'none'" in policy
    assert "http" not in policy


def test_no_button_uploads_the_chart(front):
    buttons = re.search(r'"modeBarButtons": (\[\[.*?\]\])', front_html(front)).group(1)
    assert set(json.loads(buttons)[0]) == {"toImage", "zoom2d", "pan2d", "resetScale2d"}


def test_hostile_names_stay_text(front):
    hostile = front.model_copy(update={"sweep": HOSTILE, "provenance": {"device": HOSTILE, HOSTILE: HOSTILE}})
    calm, attacked = _Outline(front_html(front)), _Outline(front_html(hostile))
    assert attacked.tags.count("script") == calm.tags.count("script")
    assert "img" not in attacked.tags
    assert HOSTILE in attacked.text


def test_hostile_group_names_stay_text_under_the_pointer(front):
    row = front.points[0].ledger[0].model_copy(update={"group": "<img src=x>"})
    points = tuple(point.model_copy(update={"ledger": (row,)}) for point in front.points)
    texts = _trace(front.model_copy(update={"points": points}), "plfp").hovertext
    assert "<img" not in texts[0]
    assert "&lt;img" in texts[0]


def test_the_hover_tells_score_speed_and_kept_widths(front):
    text = _trace(front, "plfp").hovertext[0]
    for words in (
        "Trial 1",
        "55.0% [52.0%, 57.0%]",
        "−7.0 points",
        "test mAP 53.0%",
        "×2.00",
        "decay 0.01",
        "32/64",
    ):
        assert words in text


def test_the_hover_names_no_endless_list_of_groups(front):
    row = front.points[1].ledger[0]
    rows = tuple(row.model_copy(update={"group": f"group{index}"}) for index in range(40))
    points = tuple(point.model_copy(update={"ledger": rows}) for point in front.points)
    text = _trace(front.model_copy(update={"points": points}), "plfp").hovertext[0]
    assert "group23" in text
    assert "group24" not in text
    assert "and 16 more groups" in text


def test_bars_reach_from_the_interval_s_lower_to_its_upper_end(front):
    bars = _trace(front, "plfp").error_y
    assert bars.arrayminus[0] == pytest.approx(0.03)
    assert bars.array[0] == pytest.approx(0.02)


def test_dominated_trials_are_faded_and_members_are_not(front):
    assert _trace(front, "plfp").opacity == 1
    assert _trace(front, "fpgm").opacity < 0.5


def test_the_staircase_goes_down_before_it_goes_right(front):
    stairs = _trace(front, "front")
    assert (stairs.x, stairs.y, stairs.line.shape) == ((1.5, 2.0), (0.6, 0.55), "vh")


def test_a_front_of_three_objectives_is_not_drawn_as_a_staircase(front):
    names = [
        trace.name
        for trace in interactive_chart(front.model_copy(update={"objectives": ("map", "speedup", "macs")})).data
    ]
    assert "front" not in names
    assert "plfp" in names


def test_the_dense_network_is_a_star_at_speedup_one(front):
    dense = _trace(front, "dense")
    assert (dense.x, dense.y) == ((1.0, 1.0), (0.62, 0.6))
    assert list(dense.marker.symbol) == ["star", "star-open"]


def test_test_scores_are_hollow_in_the_method_s_colour(front):
    hollow = next(trace for trace in interactive_chart(front).data if trace.showlegend is False)
    assert hollow.y == (0.53,)
    assert hollow.marker.symbol == "circle-open"
    assert hollow.marker.color == _trace(front, "plfp").marker.color


def test_the_page_lists_the_front_below_the_dense_network(front):
    text = " ".join(" ".join(_Outline(front_html(front)).text).split())
    listed = text[text.index("The front") :]
    assert listed.index("dense") < listed.index("60.0%") < listed.index("55.0% [52.0%, 57.0%]")
    assert "a bench" in text


def test_the_terminal_s_table_lists_dense_first_then_by_speedup(front):
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(front_table(front))
    lines = [line for line in console.export_text().splitlines() if line.startswith("│")]
    assert [line.split("│")[1].strip() for line in lines] == ["dense", "0", "1"]
    assert "×2.00" in lines[2]


def test_square_brackets_in_a_sweep_s_name_are_not_markup(front):
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(front_table(front.model_copy(update={"sweep": "a[bold]b"})))
    assert "a[bold]b" in console.export_text()


def test_the_picture_draws_every_trial_and_leaves_pyplot_alone(front):
    figure = front_figure(front)
    axes = figure.axes[0]
    drawn = sum(len(container.lines[0].get_xdata()) for container in axes.containers)
    assert drawn == len(front.points)
    assert "ratio of minima" in axes.get_xlabel()


def test_the_ledger_shows_asked_achieved_and_saved_a_group(front):
    row = front.points[0].ledger[0]
    rows = (row.model_copy(update={"macs_saved": 750}), row.model_copy(update={"group": "[b]fc", "macs_saved": 250}))
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(ledger_table(front.points[0].model_copy(update={"ledger": rows})))
    lines = console.export_text().splitlines()
    assert any("conv1" in line and "0.500" in line and "32" in line and "750 (75%)" in line for line in lines)
    assert any("[b]fc" in line and "250 (25%)" in line for line in lines)
    assert not any("bits" in line for line in lines)


def test_the_ledger_and_the_hover_tell_how_weights_are_coded(front):
    coding = Quantization(bits=5, group_bits={"conv1": 3})
    schedule = front.points[0].schedule.model_copy(update={"quantization": coding})
    metrics = {**front.points[0].metrics, "pruned_weights": 0.48}
    coded = front.points[0].model_copy(update={"schedule": schedule, "metrics": metrics})
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(ledger_table(coded))
    (line,) = [line for line in console.export_text().splitlines() if "conv1" in line]
    assert line.rstrip(" │").endswith(" 3")
    texts = _trace(front.model_copy(update={"points": (coded,)}), coded.method).hovertext
    assert "3 to 5 bits (kmeans), 48.0% pruned" in texts[0]


@pytest.fixture
def recall_front(make_record):
    """A front of recall over multiply-adds, where less is better."""
    figures = [(0.9, 3e9), (0.8, 1e9), (0.7, 2e9)]
    records = [
        make_record(
            number,
            0.5,
            1.5,
            metrics={"map": 0.5, "speedup": 1.5, "recall_at_1": recall, "macs": macs, "test_recall_at_1": 0.6},
        )
        for number, (recall, macs) in enumerate(figures)
    ]
    dense = {"map": 0.6, "recall_at_1": 0.95, "macs": 4e9, "test_recall_at_1": 0.7}
    return build_front("places", records, dense, ("recall_at_1", "macs"), provenance={})


def test_the_axes_follow_the_objectives(recall_front):
    layout = interactive_chart(recall_front).layout
    assert layout.yaxis.title.text == "R@1 on the validation queries"
    assert layout.xaxis.title.text == "GMACs: multiply-adds of one image, counted"
    assert layout.xaxis.tickprefix == ""
    stairs = _trace(recall_front, "front")
    assert (stairs.x, stairs.y) == ((3.0, 1.0), (0.9, 0.8))
    dense = _trace(recall_front, "dense")
    assert (dense.x, dense.y) == ((4.0, 4.0), (0.95, 0.7))
    axes = front_figure(recall_front).axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == (layout.yaxis.title.text, layout.xaxis.title.text)


def test_the_page_and_the_table_follow_the_objectives(recall_front):
    text = " ".join(" ".join(_Outline(front_html(recall_front)).text).split())
    assert "places: GMACs against R@1" in text
    assert "dense R@1 95.0% lightest on the front 1.00 GMACs" in text
    assert "test R@1 speedup MACs ÷ MB GMACs" in text
    assert "measured from R@1 76.0%, GMACs 4.00." in text
    hover = _trace(recall_front, "plfp").hovertext[0]
    assert "R@1 90.0% · −5.0 points vs dense" in hover
    assert "test R@1 60.0%" in hover


def test_reasons_to_doubt_a_front_stand_on_its_page(recall_front):
    doubted = recall_front.model_copy(update={"notes": ("val: <few> queries",)})
    assert "val: <few> queries" in _Outline(front_html(doubted)).text
