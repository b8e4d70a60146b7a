"""The page around the interactive chart: key figures, the front as a table, where the numbers come from."""

from html import escape
from string import Template

from tracking.charts.offline_page import key_figures, offline_page
from tracking.charts.style import device, method_styles
from tracking.charts.table import front_columns, front_rows
from tracking.front import Front
from tracking.record import METRICS

_STYLE = """\
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
tbody tr:first-child td { background: var(--page); }
.dot { display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 7px; }
.interval { color: var(--muted); font-size: 12.5px; }
.warning { margin: 0 0 12px; padding: 8px 12px; border-left: 3px solid var(--warning); }
details summary { cursor: pointer; color: var(--muted); }
details table { margin-top: 8px; font-size: 13px; white-space: normal; }
details td { text-align: left; }
details tbody tr:first-child td { background: none; }
"""
_BODY = Template("""<h1>$sweep</h1>
<p class="sub">Retrieval quality against $against, every finished trial. Speed measured on $device.</p>
$facts
$notes
<section>$chart</section>
<section>
<h2>The front</h2>
<div class="wide"><table>
<thead><tr>$head</tr></thead>
<tbody>
$rows
</tbody>
</table></div>
<p class="note">In brackets: the bootstrap interval of mAP over queries; the 5th and 95th percentile of
the paired speed ratios. “vs dense” is in percentage points of validation $quality. $reference</p>
</section>
<section><details><summary>Where these numbers come from</summary>
<table><tbody>
$provenance
</tbody></table></details></section>
""")


def front_page(front: Front, chart: str) -> str:
    """Put `chart`, a piece of HTML, into a page of its own that asks for nothing from outside."""
    quality, cost = METRICS[front.quality].label, METRICS[front.cost].label
    body = _BODY.substitute(
        sweep=escape(front.sweep),
        device=escape(device(front)),
        quality=escape(quality),
        against="speed" if front.cost == "speedup" else escape(cost),
        facts=key_figures(_facts(front)),
        notes="\n".join(f'<p class="warning">{escape(note)}</p>' for note in front.notes),
        chart=chart,
        head="".join(f"<th>{escape(column)}</th>" for column in front_columns(front)),
        rows=_table_rows(front),
        reference=escape(_reference(front)),
        provenance="\n".join(_provenance_row(key, value) for key, value in front.provenance.items()),
    )
    return offline_page(f"{front.sweep}: {cost} against {quality}", _STYLE, body)


def _facts(front: Front) -> dict[str, str]:
    members = front.members()
    quality, cost = METRICS[front.quality], METRICS[front.cost]
    best = members[-1].metrics[front.cost] if members else None
    return {
        "finished trials": str(len(front.points)),
        "on the front": str(len(members)),
        f"dense {quality.label}": quality.show(front.dense.get(front.quality)),
        f"{cost.best} on the front": cost.show(best) + ("" if cost.form.startswith("×") else f" {cost.label}"),
        "hypervolume": f"{front.hypervolume:.3g}",
    }


def _reference(front: Front) -> str:
    corners = zip(front.objectives, front.reference, strict=True)
    corner = ", ".join(f"{METRICS[key].label} {METRICS[key].show(value)}" for key, value in corners)
    return f"The hypervolume is measured from {corner}."


def _table_rows(front: Front) -> str:
    colours = {method: style.colour for method, style in method_styles(front).items()}
    columns = front_columns(front)
    return "\n".join(_table_row(columns, row, colours) for row in front_rows(front))


def _table_row(columns: tuple[str, ...], row: tuple[str, ...], colours: dict[str, str]) -> str:
    cells = zip(columns, row, strict=True)
    return "<tr>" + "".join(f"<td>{_cell(column, text, colours)}</td>" for column, text in cells) + "</tr>"


def _provenance_row(key: str, value: str) -> str:
    return f"<tr><td>{escape(key)}</td><td>{escape(value)}</td></tr>"


def _cell(column: str, text: str, colours: dict[str, str]) -> str:
    if column == "method" and text in colours:
        return f'<span class="dot" style="background:{colours[text]}"></span>{escape(text)}'
    value, bracket, interval = text.partition(" [")
    if column in ("trial", "method") or not bracket:
        return escape(text)
    return f'{escape(value)} <span class="interval">[{escape(interval)}</span>'
