"""The page around the interactive heatmap: key figures, how to read it, the same numbers as a table."""

from html import escape
from string import Template

from tracking.record import METRICS
from tracking.sensitivity import GroupSensitivity, SensitivityMap

# The policy makes the browser itself refuse every request: the page must open, and stay silent, offline.
# plotly writes its colours into each element; `!important` lets the reader's choice of light or dark win over them.
_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:;
 base-uri 'none'; form-action 'none'">
<title>$network: sensitivity of its groups</title>
<style>
:root { color-scheme: light dark; --ink: #1b1f24; --muted: #5c656f; --rule: #e3e6ea; --page: #f6f7f9; --card: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --muted: #9aa4af; --rule: #343a42; --page: #14171b; --card: #1d2126; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 32px 24px 48px; }
h1 { margin: 0; font-size: 26px; line-height: 1.2; letter-spacing: -0.01em; }
h2 { margin: 0 0 12px; font-size: 17px; }
.sub { margin: 6px 0 20px; color: var(--muted); }
.facts { display: flex; flex-wrap: wrap; gap: 12px; margin: 0 0 16px; }
.facts div, section { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; }
.facts div { flex: 1 1 150px; padding: 10px 16px; }
.facts dt { color: var(--muted); font-size: 12.5px; }
.facts dd { margin: 0; font-size: 21px; font-weight: 600; font-variant-numeric: tabular-nums; }
section { padding: 16px 20px; margin: 0 0 16px; }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th { text-align: right; font-size: 12.5px; font-weight: 600; color: var(--muted); }
th, td { padding: 7px 10px; border-bottom: 1px solid var(--rule); }
td { text-align: right; }
th:first-child, td:first-child { text-align: left; }
tbody tr:last-child td { border-bottom: 0; }
.kept { color: var(--muted); font-size: 12.5px; }
.note { margin: 12px 0 0; color: var(--muted); font-size: 13px; }
#sensitivity :is(.xtick, .ytick, .cbaxis, .g-xtitle, .infolayer .colorbar) text { fill: var(--ink) !important; }
#sensitivity .annotation-text { fill: var(--muted) !important; }
</style>
</head>
<body>
<main>
<h1>$network: sensitivity of its groups</h1>
<p class="sub">Points of $quality that are lost when channels of one group alone go: BatchNorm measured anew, nothing
trained.</p>
<dl class="facts">$facts</dl>
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
</main>
</body>
</html>
""")


def heatmap_page(sensitivity: SensitivityMap, chart: str) -> str:
    """Put `chart`, a piece of HTML, into a page of its own that asks for nothing from outside."""
    columns = ("group", "rank", *map(shown_ratio, sensitivity.ratios), "multiply-adds saved at most")
    ranks = sensitivity.ranks()
    return _PAGE.substitute(
        network=escape(sensitivity.network),
        quality=escape(METRICS[sensitivity.quality].label),
        facts="".join(_fact(name, value) for name, value in _facts(sensitivity).items()),
        chart=chart,
        head="".join(f"<th>{escape(column)}</th>" for column in columns),
        rows="\n".join(_row(group, ranks[group.group], sensitivity) for group in sensitivity.groups),
    )


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


def _fact(name: str, value: str) -> str:
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"


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
