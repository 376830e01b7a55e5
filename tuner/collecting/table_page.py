"""A table of runs as a self-contained HTML page."""

from __future__ import annotations

from html import escape

import pandas as pd

from tuner.collecting.table_formats import Cells, one_line, to_cells

_STYLE = """
:root { color-scheme: light dark; --line: #d5d9de; --soft: #f3f5f7; --text: #1c2127;
  --page: #fff; --dim: #5b6570; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a424b; --soft: #22282f; --text: #e6e9ec; --page: #171b20; --dim: #a1abb5; }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 1.25rem; background: var(--page); color: var(--text);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.3rem; }
p { margin: .2rem 0 1rem; color: var(--dim); overflow-wrap: anywhere; }
.scroll { overflow: auto; max-height: calc(100vh - 7rem); border: 1px solid var(--line);
  border-radius: 6px; width: fit-content; max-width: 100%; }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .7rem; text-align: left; white-space: nowrap;
  border-bottom: 1px solid var(--line); background: var(--page); }
tbody tr:last-child > * { border-bottom: 0; }
tbody tr:hover > * { background: var(--soft); }
.number { text-align: right; }
tbody th span { display: block; width: max-content; max-width: 19rem; white-space: normal;
  overflow-wrap: break-word; }
thead th { position: sticky; top: 0; z-index: 1; padding: 0; background: var(--soft);
  vertical-align: bottom; white-space: normal; }
thead button { all: unset; box-sizing: border-box; width: 100%; padding: .45rem .7rem;
  cursor: pointer; font-weight: 600; }
thead button:focus-visible { outline: 2px solid #2f7dd1; outline-offset: -2px; }
thead button::after { content: "\\00a0\\2195"; color: var(--dim);
  font-weight: 400; opacity: .55; }
[aria-sort=ascending] button::after { content: "\\00a0\\2191"; opacity: 1; }
[aria-sort=descending] button::after { content: "\\00a0\\2193"; opacity: 1; }
tbody th { position: sticky; left: 0; font-weight: 500; border-right: 1px solid var(--line); }
thead th:first-child { left: 0; z-index: 2; border-right: 1px solid var(--line); }
@media (max-width: 600px) {
  body { padding: .75rem; font-size: 14px; }
  th, td, thead button { padding: .4rem .5rem; }
  thead th { padding: 0; }
  tbody th span { max-width: 38vw; }
}
@media print {
  @page { size: landscape; margin: 10mm; }
  :root { --line: #999; --soft: #fff; --text: #000; --page: #fff; --dim: #333; }
  body { padding: 0; font-size: 8pt; }
  .scroll { overflow: visible; max-height: none; border: 0; width: auto; }
  table { width: 100%; }
  th, td, thead th, tbody th { position: static; padding: 2pt 4pt; white-space: normal;
    overflow-wrap: break-word; }
  tbody th span { width: auto; }
  thead th { padding: 0; }
  thead button { padding: 2pt 4pt; }
  thead button::after { content: none; }
  tr { break-inside: avoid; }
}
"""

_SCRIPT = """
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, body = document.querySelector("tbody");
    const sign = head.ariaSort === "ascending" ? -1 : 1;
    const value = (row) => row.cells[head.cellIndex].dataset.value;
    const compare = (a, b) => {
      // Empty cells stay at the end either way.
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
      const isNumber = head.classList.contains("number");
      return sign * (isNumber ? a - b : a.localeCompare(b, undefined, { numeric: true }));
    };
    for (const other of head.parentElement.cells) other.ariaSort = null;
    head.ariaSort = sign > 0 ? "ascending" : "descending";
    body.append(...[...body.rows].sort((a, b) => compare(value(a), value(b))));
  });
}
"""


def to_page(table: pd.DataFrame, *, title: str, description: str) -> str:
    """Return a table as an HTML page, sortable by clicking a column.

    Args:
        table: The table.
        title: Title of the page.
        description: One line below the title.
    """
    cells = to_cells(table)
    head = "".join(
        f'<th scope="col"{_class(right)} title="{_text(column)}">'
        f"<button>{_text(text)}</button></th>"
        for column, text, right in zip(cells.columns, cells.headers, cells.is_number, strict=True)
    )
    body = "\n".join(_line(cells, i) for i in range(len(cells.rows)))
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{_text(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{_text(title)}</h1>
<p>{_text(description)}</p>
<div class="scroll" tabindex="0" role="region" aria-label="{_text(title)}">
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
</div>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _line(cells: Cells, number: int) -> str:
    parts = []
    for i, text in enumerate(cells.rows[number]):
        value = cells.values[number][i]
        data = "" if value is None else f' data-value="{_text(_sortable(value))}"'
        attributes = _class(cells.is_number[i]) + data
        if i == 0:
            # Long names may break after a slash.
            shown = _text(text).replace("/", "/<wbr>")
            parts.append(f'<th scope="row"{attributes}><span>{shown}</span></th>')
        else:
            parts.append(f"<td{attributes}>{_text(text)}</td>")
    return f"<tr>{''.join(parts)}</tr>"


def _sortable(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _class(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _text(text: str) -> str:
    return escape(one_line(text))
