"""The frame of the pages around the interactive charts: head and policy, style, key figures."""

from collections.abc import Mapping
from html import escape
from string import Template

from tracking.charts.style import FONTS

# The policy makes the browser itself refuse every request: the page must open, and stay silent, offline.
_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:;
 base-uri 'none'; form-action 'none'">
<title>$title</title>
<style>
:root { color-scheme: light; --ink: #1b1f24; --muted: #5c656f; --rule: #e3e6ea; --page: #f6f7f9; --card: #fff;
  --warning: #b7791f; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 $fonts; }
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
tbody tr:last-child td { border-bottom: 0; }
.note { margin: 12px 0 0; color: var(--muted); font-size: 13px; }
$style</style>
</head>
<body>
<main>
$body</main>
</body>
</html>
""")


def offline_page(title: str, style: str, body: str) -> str:
    """Return a page that requests nothing from outside.

    Args:
        title: plain text.
        style: the page's own CSS rules, which stand below the shared ones and so may replace them.
        body: HTML, all names in it escaped.
    """
    return _PAGE.substitute(title=escape(title), fonts=FONTS, style=style, body=body)


def key_figures(facts: Mapping[str, str]) -> str:
    """Return names and values, both plain text, as a row of small cards."""
    cards = (f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items())
    return f'<dl class="facts">{"".join(cards)}</dl>'
