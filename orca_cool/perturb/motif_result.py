"""What a screen of motifs found: a score of each hit and its background, and a table of motifs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool.files import atomic_write
from orca_cool.maps.bigwig import require_room
from orca_cool.perturb.motif_sites import Sites
from orca_cool.perturb.screen_output import ScreenResult

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "orca-cool.motif-screen"
FORMAT_VERSION = 1

#: Behind the name of a column of scores: that of the hits' backgrounds.
BACKGROUND = ".background"

#: Columns of the table of motifs.
COLUMNS = ("motif", "A", "B", "n", "mean_A", "mean_B", "difference", "p", "q")


@dataclass(frozen=True)
class MotifScreenResult:
    """Scores of motif hits.

    Attributes
    ----------
    hits : a row a hit, in the genome's order: chrom, start, end, motif, strand, bits (the matrix's
        score, or column 5 of the BED), bits_p (its p-value), background_start, background_end, and
        of each cell type or model NAME a column NAME (the score of the hit) and NAME.background.
    names : the columns of scores.
    settings : all that the scores depend on, plain values.
    """

    hits: pd.DataFrame
    names: list[str]
    settings: dict[str, Any]

    @property
    def table(self) -> pd.DataFrame:
        """A row for each motif and comparison of A with B, the smallest p first.

        First each column of scores with its backgrounds (A "x", B "x.background"): ``n`` hits with
        a score; mean_A of the hits; mean_B of their backgrounds; p by Mann and Whitney's test, two
        sided. Then each two columns (A "x", B "y"): ``n`` hits with a background; means of hit less
        background in A and in B; p by Wilcoxon's signed-rank test of the pairs. ``difference`` is
        mean_A - mean_B, ``q`` Benjamini and Hochberg's over the motifs of a comparison.
        """
        import pandas as pd

        parts = []
        for a, b in self._comparisons():
            rows = [
                {"motif": motif, "A": a, "B": b, **_compared(*self._values(part, a, b))}
                for motif, part in self.hits.groupby("motif", sort=True)
            ]
            found = pd.DataFrame(rows)
            found["q"] = _q_values(found["p"].to_numpy())
            parts.append(found.sort_values(["p", "motif"], kind="stable"))
        return pd.concat(parts, ignore_index=True)[list(COLUMNS)]

    def _comparisons(self) -> Iterator[tuple[str, str]]:
        for name in self.names:
            yield name, name + BACKGROUND
        yield from combinations(self.names, 2)

    @staticmethod
    def _values(hits: pd.DataFrame, a: str, b: str) -> tuple[np.ndarray, np.ndarray, bool]:
        """Values of A and B without what has none, and whether they are pairs."""
        if b == a + BACKGROUND:
            first, second = (hits[name].to_numpy(float) for name in (a, b))
            return first[np.isfinite(first)], second[np.isfinite(second)], False
        first, second = (
            hits[name].to_numpy(float) - hits[name + BACKGROUND].to_numpy(float) for name in (a, b)
        )
        both = np.isfinite(first) & np.isfinite(second)
        return first[both], second[both], True

    def write(self, output: str, counts: Mapping[str, int]) -> list[Path]:
        """Write OUT.motifs.tsv, OUT.hits.tsv and, last, OUT.json.

        Raises
        ------
        OutputError
            If the disk has no room.
        """
        json_path, motifs, hits = paths_of(output)
        require_room(json_path.parent, 20 * len(self.hits))
        for path, table in ((motifs, self.table), (hits, self.hits)):
            text = table.to_csv(sep="\t", index=False, float_format="%.8g", na_rep="nan")
            atomic_write(path, text)
        about = {"format": FORMAT, "version": FORMAT_VERSION, **self.settings, **counts}
        atomic_write(json_path, json.dumps(about, indent=1) + "\n")
        return [motifs, hits, json_path]


def paths_of(output: str) -> list[Path]:
    """The files of a screen of motifs; that with the settings first."""
    return [Path(f"{output}.{ending}") for ending in ("json", "motifs.tsv", "hits.tsv")]


def motif_result(sites: Sites, scored: ScreenResult) -> MotifScreenResult:
    """Hits with the scores of the units that they are."""
    import pandas as pd

    number = {u: k for k, u in enumerate(sites.units)}
    at = [number[h.where] for h in sites.hits]
    beside = [-1 if b is None else number[b] for b in sites.backgrounds]
    table = pd.DataFrame(
        {
            "chrom": [h.where.chrom for h in sites.hits],
            "start": [h.where.start for h in sites.hits],
            "end": [h.where.end for h in sites.hits],
            "motif": [h.motif for h in sites.hits],
            "strand": [h.strand for h in sites.hits],
            "bits": [h.score for h in sites.hits],
            "bits_p": [h.p for h in sites.hits],
            "background_start": pd.array([b and b.start for b in sites.backgrounds], "Int64"),
            "background_end": pd.array([b and b.end for b in sites.backgrounds], "Int64"),
        }
    )
    for name in scored.names:
        values = np.append(scored.table[name].to_numpy(float), np.nan)
        table[name], table[name + BACKGROUND] = values[at], values[beside]
    return MotifScreenResult(table, scored.names, scored.settings)


def _compared(a: np.ndarray, b: np.ndarray, pairs: bool) -> dict[str, Any]:
    """Means of two samples and the p-value of their difference; NaN where one is empty."""
    from scipy.stats import mannwhitneyu, wilcoxon

    mean_a, mean_b = (float(x.mean()) if len(x) else float("nan") for x in (a, b))
    p = float("nan")
    if len(a) and len(b):
        if pairs:
            p = float(wilcoxon(a, b).pvalue) if (a != b).any() else 1.0
        else:
            p = float(mannwhitneyu(a, b, alternative="two-sided").pvalue)
    difference = mean_a - mean_b
    return {"n": len(a), "mean_A": mean_a, "mean_B": mean_b, "difference": difference, "p": p}


def _q_values(p: np.ndarray) -> np.ndarray:
    """Benjamini and Hochberg's; NaN stays, and is not counted."""
    from scipy.stats import false_discovery_control

    out = np.full(len(p), np.nan)
    known = np.isfinite(p)
    if known.any():
        out[known] = false_discovery_control(p[known])
    return out
