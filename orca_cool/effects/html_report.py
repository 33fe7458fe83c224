"""A table of scores as a page that stands for itself: the strongest variants, pictures of some of
them, and the settings. One file, without scripts, that loads nothing from elsewhere.
"""

from __future__ import annotations

import html
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orca_cool.effects.align import Reference, compare
from orca_cool.effects.table_columns import MEANINGS, RANKED
from orca_cool.errors import OrcaCoolError
from orca_cool.files import atomic_write
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.maps.axes import picture_html
from orca_cool.variants import Variant

#: Variants that are drawn, and rows that are shown.
PICTURES, ROWS = 5, 200

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 90em; padding: 0 1em; }
table { border-collapse: collapse; font-size: 13px; }
td, th { border: 1px solid #ccc; padding: 0.2em 0.5em; text-align: right; white-space: nowrap; }
td.text, th.text { text-align: left; }
td.name { white-space: normal; overflow-wrap: anywhere; min-width: 9em; }
th { background: #eee; } .wide { overflow-x: auto; }
dt { margin-top: 0.5em; } code { overflow-wrap: anywhere; }
pre, .map { overflow-x: auto; } .map img { min-width: 50em; }
@media (prefers-color-scheme: dark) {
  body { background: #181818; color: #ddd; } th { background: #333; } td, th { border-color: #555; }
  img { background: white; }
}
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title><style>{style}</style></head>
<body><h1>{title}</h1>
{parts}
</body></html>
"""


def write_report(
    path: Path,
    rows: Sequence[Mapping[str, str]],
    settings: Mapping[str, Any],
    pictures: Sequence[str],
    rank_by: str,
) -> None:
    """Write the page.

    Parameters
    ----------
    rows : of a summary of the table, by column. settings : of the run.
    pictures : HTML of each, the strongest variant's first. rank_by : the score of the ranks.
    """
    ranked = sorted((r for r in rows if r["rank"]), key=lambda row: int(row["rank"]))
    title = f"{settings.get('variants') or 'Edits'}: what they change, by {settings['model']}"
    parts = [
        f"<p>{len(ranked):,} of {len(rows):,} variants scored, ranked by <code>{rank_by}</code>; "
        f"of each score the largest of levels and breakpoints. Places count from 0, and their end "
        f"is the first base after them. Research use, not clinical.</p>",
        *_failures(rows),
        "<h2>The strongest</h2>",
        _table(ranked[:ROWS], rank_by),
    ]
    if len(ranked) > ROWS:
        parts.append(f"<p>The first {ROWS} of {len(ranked):,}; the table has all.</p>")
    parts.append(_meanings(rank_by, bool(rows) and f"{rank_by}_z" in rows[0]))
    if pictures:
        parts += ["<h2>Maps</h2>", *pictures]
    told = html.escape(json.dumps(dict(settings), indent=1))
    parts += ["<h2>Settings</h2>", f"<pre>{told}</pre>"]
    page = _PAGE.format(title=html.escape(title), style=_STYLE, parts="\n".join(parts))
    atomic_write(path, page)


def _failures(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """A list of the reasons of those that could not be scored."""
    reasons = Counter(r["status"] for r in rows if not r["status"].startswith("ok"))
    if reasons:
        items = (f"<li>{n:,} x {html.escape(text)}</li>" for text, n in reasons.most_common(20))
        yield f"<p>Not scored:</p><ul>{''.join(items)}</ul>"


def _meanings(rank_by: str, null: bool) -> str:
    """What the columns of the table are, to be unfolded."""
    told = {name: MEANINGS[name] for name in RANKED}
    told["resolution"] = "bp in a bin of the map (the level) in which the ranking score is largest"
    if null:
        told[f"{rank_by}_percentile"] = (
            f"share, in percent, of matched places elsewhere in the genome with a lower {rank_by}"
        )
        told[f"{rank_by}_z"] = "standard deviations above the mean of the matched places"
    items = (f"<dt><code>{name}</code></dt><dd>{text}</dd>" for name, text in told.items())
    return (
        f"<details><summary>What the columns are</summary><dl>{''.join(items)}</dl>"
        f"<p>More: docs/edits.md and docs/numbers.md of orca-cool.</p></details>"
    )


def _table(rows: Sequence[Mapping[str, str]], rank_by: str) -> str:
    scores = [rank_by, *(name for name in RANKED if name != rank_by)]
    null = [f"{rank_by}_percentile", f"{rank_by}_z"]
    null = [name for name in null if rows and name in rows[0]]
    columns = [*scores[:1], *null, *scores[1:]]
    head = "<th>rank</th>"
    head += "".join(f'<th class="text">{name}</th>' for name in ("name", "place", "kind"))
    head += "<th>resolution</th>"
    head += "".join(f"<th>{name}</th>" for name in columns)
    body = []
    for row in rows:
        start, end = int(row["start"]), int(row["end"])
        place = f"{row['chrom']}:{start:,}" + f"-{end:,}" * (end > start)
        name, place, kind = (html.escape(text) for text in (row["name"], place, row["kind"]))
        cells = f'<td>{row["rank"]}</td><td class="text name">{name}</td>'
        cells += f'<td class="text">{place}</td><td class="text">{kind}</td>'
        cells += f"<td>{int(row['resolution']):,} bp</td>"
        cells += "".join(f"<td>{_short(row[name])}</td>" for name in columns)
        body.append(f"<tr>{cells}</tr>")
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _short(text: str) -> str:
    """A number with four digits; a dash where there is none."""
    value = float(text) if text else math.nan
    return "-" if math.isnan(value) else html.escape(f"{value:.4g}")


def pictures_of(
    reference: Reference,
    variants: Sequence[Variant],
    rows: Sequence[Mapping[str, str]],
    most: int = PICTURES,
) -> list[str]:
    """Maps of the strongest variants, at the level and breakpoint of their ranking score, as HTML.

    Parameters
    ----------
    rows : of a summary, one for each of ``variants``, in their order.
    """
    order = sorted((int(row["rank"]), k) for k, row in enumerate(rows) if row["rank"])
    out = []
    for rank, k in order[:most]:
        row, variant = rows[k], variants[k]
        caption = f"{rank}. {row['name']}, {row['site']}, bins of {int(row['resolution']):,} bp"
        try:
            genome = apply_edits(reference.engine.source, variant.changes)
            footprint = (variant.chrom, variant.start, max(variant.end, variant.start + 1))
            (found,) = compare(
                reference, [genome], footprints=[footprint], keep=[int(row["resolution"])]
            )
        except OrcaCoolError as error:  # it was scored, so this is rare: the page says it
            out.append(f"<p>{html.escape(f'{caption}: {error}')}</p>")
            continue
        (c,) = [c for c in found if str(c.site) == row["site"]]
        picture = picture_html(c.plot(), caption, f"maps of {row['name']}")
        out.append(f'<div class="map">{picture}</div>')
    return out
