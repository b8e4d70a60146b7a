import math
import re

import pytest

from tracking.charts.heatmap import cells_of, heatmap_figure, heatmap_html, heatmap_png, interactive_heatmap
from tracking.sensitivity import CutPoint, GroupSensitivity, SensitivityMap

HOSTILE = "<img src=x onerror=alert(1)>"


def point(kept: int, quality: float) -> CutPoint:
    return CutPoint(kept=kept, quality=quality, macs_saved=100)


@pytest.fixture
def sensitivity() -> SensitivityMap:
    return SensitivityMap(
        network="tiny $net$",
        method="l1",
        quality="map",
        dense=0.8,
        dense_macs=1000,
        ratios=(0.25, 0.5, 0.75),
        round_to=8,
        groups=(
            GroupSensitivity(group="conv1", width=16, points=(point(8, 0.754),)),
            GroupSensitivity(group=HOSTILE, width=32, points=(point(24, 0.81), point(16, 0.6), point(8, math.nan))),
        ),
    )


def test_cells_show_points_lost_as_measured_and_a_dash_where_no_channel_goes(sensitivity):
    texts = [[cell.text for cell in row] for row in cells_of(sensitivity)]
    assert texts == [["–", "4.6", "4.6"], ["−1.0", "20.0", "none left"]]


def test_a_gain_too_small_to_show_has_no_sign(sensitivity):
    hardly = GroupSensitivity(group="conv1", width=16, points=(point(8, 0.8002),))
    assert cells_of(sensitivity.model_copy(update={"groups": (hardly,)}))[0][1].text == "0.0"


def test_a_cell_tells_width_quality_and_savings_under_the_pointer(sensitivity):
    hover = cells_of(sensitivity)[0][1].hover
    assert hover.split("<br>") == [
        "<b>conv1</b>",
        "8 of 16 channels kept (50.0% gone)",
        "mAP 75.4%, dense 80.0%",
        "10.0% of the multiply-adds saved",
    ]


def test_the_first_group_is_at_the_top_and_both_pictures_show_the_same(sensitivity):
    figure = interactive_heatmap(sensitivity)
    assert figure.layout.yaxis.autorange == "reversed"
    assert figure.data[0].x == ("25%", "50%", "75%")
    axes = heatmap_figure(sensitivity).axes[0]
    assert [text.get_text() for text in axes.texts] == ["–", "4.6", "4.6", "−1.0", "20.0", "none left"]
    assert axes.yaxis_inverted()
    assert axes.get_yticklabels()[0].get_text() == "conv1 (16)"


def test_a_network_that_finds_nothing_any_more_has_the_deepest_colour(sensitivity):
    heatmap = interactive_heatmap(sensitivity).data[0]
    assert heatmap.z[1][2] == heatmap.zmax == pytest.approx(80)


def test_the_page_asks_for_nothing_and_runs_nothing_that_a_name_says(sensitivity):
    page = heatmap_html(sensitivity)
    own = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "default-src 'none'" in own
    assert not re.search(r"<(img|link|iframe)\b|\b(src|href)=", own.replace("&lt;img src=x", ""))
    assert HOSTILE not in page


def test_the_page_is_for_light_and_dark_and_repeats_the_numbers_in_a_table(sensitivity):
    page = heatmap_html(sensitivity)
    assert "prefers-color-scheme: dark" in page
    assert '<td>75.4% <span class="kept">[8/16]</span></td>' in page


def test_the_picture_is_a_png(sensitivity):
    assert heatmap_png(sensitivity).startswith(b"\x89PNG")
