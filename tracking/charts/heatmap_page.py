"""The page around the interactive heatmap: key figures, how to read it, the same numbers as a table."""

from html import escape
from string import Template

from tracking.charts.offline_page import key_figures, offline_page
from tracking.record import METRICS
from tracking.sensitivity import GroupSensitivity, SensitivityMap

# plotly writes its colours into each element; `!important` lets the reader's choice of light or dark win over them.
_STYLE = """\
:root { color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --muted: #9aa4af; --rule: #343a42; --page: #14171b; --card: #1d2126; }
}
th:first-child, td:first-child { text-align: left; }
.kept { color: var(--muted); font-size: 12.5px; }
#sensitivity :is(.xtick, .ytick, .cbaxis, .g-xtitle, .infolayer .colorbar) text { fill: var(--ink) !important; }
#sensitivity .annotation-text { fill: var(--muted) !important; }
"""
_BODY = Template("""<h1>$title</h1>
<p class="sub">Points of $quality that are lost when channels of one group alone go: BatchNorm measured anew, nothing
trained.</p>
$facts
<section>$chart</section>
<section>
<h2>The same in numbers</h2>
<div class="wide"><table>
<thead><tr>$head</tr></thead>
<tbody>
$rows
</tbody>
</table></div>
<p class="note">$quality as it was measured and, in brackets, the channels kept; a dash where the ratio rounds to
the dense width. “rank” orders the groups by multiply-adds saved for the $quality lost: +0.5 gives most for least, −0.5
least for most.</p>
</section>
""")


def heatmap_page(sensitivity: SensitivityMap, chart: str) -> str:
    """Put `chart`, a piece of HTML, into a page of its own that asks for nothing from outside."""
    columns = ("group", "rank", *map(shown_ratio, sensitivity.ratios), "multiply-adds saved at most")
    ranks = sensitivity.ranks()
    title = f"{sensitivity.network}: sensitivity of its groups"
    body = _BODY.substitute(
        title=escape(title),
        quality=escape(METRICS[sensitivity.quality].label),
        facts=key_figures(_facts(sensitivity)),
        chart=chart,
        head="".join(f"<th>{escape(column)}</th>" for column in columns),
        rows="\n".join(_row(group, ranks[group.group], sensitivity) for group in sensitivity.groups),
    )
    return offline_page(title, _STYLE, body)


def shown_ratio(ratio: float) -> str:
    """Return a ratio as a person reads it: "25%", "12.5%"."""
    return f"{100 * ratio:.3g}%"


def _facts(sensitivity: SensitivityMap) -> dict[str, str]:
    metric = METRICS[sensitivity.quality]
    return {
        "groups": str(len(sensitivity.groups)),
        f"dense {metric.label}": metric.show(sensitivity.dense),
        f"dense {METRICS['macs'].label}": METRICS["macs"].show(sensitivity.dense_macs),
        "channels chosen by": sensitivity.method,
    }


def _row(group: GroupSensitivity, rank: float, sensitivity: SensitivityMap) -> str:
    saved = max((point.macs_saved for point in group.points), default=0) / sensitivity.dense_macs
    cells = [escape(group.group), f"{rank:+.2f}".replace("-", "−")]
    cells += [_quality(group, ratio, sensitivity) for ratio in sensitivity.ratios]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in [*cells, f"{saved:.1%}"]) + "</tr>"


def _quality(group: GroupSensitivity, ratio: float, sensitivity: SensitivityMap) -> str:
    if (point := group.point_at(ratio, sensitivity.round_to)) is None:
        return "–"
    kept = f'<span class="kept">[{point.kept}/{group.width}]</span>'
    return f"{METRICS[sensitivity.quality].show(point.quality)} {kept}"
