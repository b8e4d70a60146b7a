"""The page around the interactive chart: key figures, the front as a table, where the numbers come from."""

from html import escape
from string import Template

from tracking.front import Front
from tracking.looks import device, method_looks
from tracking.record import METRICS
from tracking.table import front_columns, front_rows

# The policy makes the browser itself refuse every request: the page must open, and stay silent, offline.
_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:;
 base-uri 'none'; form-action 'none'">
<title>$sweep: $cost against $quality</title>
<style>
:root { color-scheme: light; --ink: #1b1f24; --muted: #5c656f; --rule: #e3e6ea; }
* { box-sizing: border-box; }
body { margin: 0; background: #f6f7f9; color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 32px 24px 48px; }
h1 { margin: 0; font-size: 26px; line-height: 1.2; letter-spacing: -0.01em; }
h2 { margin: 0 0 12px; font-size: 17px; }
.sub { margin: 6px 0 20px; color: var(--muted); }
.facts { display: flex; flex-wrap: wrap; gap: 12px; margin: 0 0 16px; }
.facts div, section { background: #fff; border: 1px solid var(--rule); border-radius: 8px; }
.facts div { flex: 1 1 150px; padding: 10px 16px; }
.facts dt { color: var(--muted); font-size: 12.5px; }
.facts dd { margin: 0; font-size: 21px; font-weight: 600; font-variant-numeric: tabular-nums; }
section { padding: 16px 20px; margin: 0 0 16px; }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th { text-align: right; font-size: 12.5px; font-weight: 600; color: var(--muted); }
th, td { padding: 7px 10px; border-bottom: 1px solid var(--rule); }
td { text-align: right; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
tbody tr:first-child td { background: #f6f7f9; }
tbody tr:last-child td { border-bottom: 0; }
.dot { display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 7px; }
.interval { color: var(--muted); font-size: 12.5px; }
.note { margin: 12px 0 0; color: var(--muted); font-size: 13px; }
details summary { cursor: pointer; color: var(--muted); }
details table { margin-top: 8px; font-size: 13px; white-space: normal; }
details td { text-align: left; }
details tbody tr:first-child td { background: none; }
</style>
</head>
<body>
<main>
<h1>$sweep</h1>
<p class="sub">Retrieval quality against $against, every finished trial. Speed measured on $device.</p>
<dl class="facts">$facts</dl>
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
</main>
</body>
</html>
""")


def front_page(front: Front, chart: str) -> str:
    """Put `chart`, a piece of HTML, into a page of its own that asks for nothing from outside."""
    return _PAGE.substitute(
        sweep=escape(front.sweep),
        device=escape(device(front)),
        quality=escape(METRICS[front.quality].label),
        cost=escape(METRICS[front.cost].label),
        against="speed" if front.cost == "speedup" else escape(METRICS[front.cost].label),
        facts="".join(_fact(name, value) for name, value in _facts(front).items()),
        chart=chart,
        head="".join(f"<th>{escape(column)}</th>" for column in front_columns(front)),
        rows=_table_rows(front),
        reference=escape(_reference(front)),
        provenance="\n".join(_provenance_row(key, value) for key, value in front.provenance.items()),
    )


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


def _fact(name: str, value: str) -> str:
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"


def _reference(front: Front) -> str:
    corners = zip(front.objectives, front.reference, strict=True)
    corner = ", ".join(f"{METRICS[key].label} {METRICS[key].show(value)}" for key, value in corners)
    return f"The hypervolume is measured from {corner}."


def _table_rows(front: Front) -> str:
    colours = {method: look.colour for method, look in method_looks(front).items()}
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
