"""Files of maps (.npz) as columns of a figure: of ``orca-cool variants --maps`` and of ``orca-cool
predict --at``.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from orca_cool.effects.columns import Column, Map, lifted_insulation, masked
from orca_cool.errors import EditError
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import GAP

#: What numpy, zipfile and json raise on a file that is another or damaged (RuntimeError: encrypted;
#: AttributeError: a bare .npy).
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


class _Lengths:
    """A sequence source of which only the lengths of chromosomes are known: all of it is N."""

    def __init__(self, chromsizes: dict[str, int]):
        self.name, self.chromsizes = "maps", chromsizes

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        return np.full(end - start, GAP, dtype=np.uint8)


def read_maps(path: str | Path) -> tuple[str, list[list[Column]]]:
    """Read a file of ``orca-cool variants --maps`` or of ``orca-cool predict --at``.

    The file does not tell which bins are gaps, hence they are not masked. That of a variant has no
    expected frequencies, hence insulation is that of observed/expected.

    Parameters
    ----------
    path : .npz; of variants, format version 1 or 2.

    Returns
    -------
    A title (the variant's name and changes; the zoom's model, place and edits), and for each site
    the columns, coarse to fine.

    Raises
    ------
    EditError
        If there is no such file, it is no file of maps, or it holds none.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            if "metadata" in arrays:
                return _zoom(arrays)
            about = json.loads(str(arrays["about"]))
            if about["format"] != "orca-cool.maps" or about["format_version"] not in (1, 2):
                raise ValueError(f"format {about['format']!r}, version {about['format_version']}")
            genome = _genome(about)
            found: dict[str, list[Column]] = {}
            for row in about["maps"]:
                found.setdefault(row["key"].partition("_")[0], []).append(
                    _column(arrays, row, genome, about["chromsizes"])
                )
    except FileNotFoundError:
        raise EditError(f"there is no file {str(path)!r}") from None
    except _DAMAGED as error:
        raise EditError(
            f"{str(path)!r} is not a file of maps of `orca-cool variants --maps` or `orca-cool "
            f"predict --at`, or is damaged: {error}"
        ) from None
    if not found:
        raise EditError(
            f"{str(path)!r} holds no map: the variant could not be scored, or changes nothing"
        )
    changes = "; ".join(about["changes"])
    title = changes if about["name"] in ("", changes) else f"{about['name']}: {changes}"
    return title, [sorted(columns, key=lambda c: -c.resolution) for columns in found.values()]


def _genome(about: Mapping[str, Any]) -> EditedGenome | None:
    """The edited genome, without its letters; None if nothing is edited."""
    contigs = {
        contig: [_segment(text) for text in texts] for contig, texts in about["segments"].items()
    }
    ends: dict[str, int] = {}
    for s in [s for segments in contigs.values() for s in segments if s.chrom]:
        ends[s.chrom] = max(ends.get(s.chrom, 0), s.end)
    return EditedGenome(_Lengths(ends | about["chromsizes"]), contigs) if contigs else None


def _segment(text: str) -> Segment:
    """Inverse of ``str(Segment)``; literal sequence comes back as letters N."""
    if match := re.fullmatch(r"(.+):([\d,]+)-([\d,]+)\(([+-])\)", text):
        return Segment(
            match[1], int(match[2].replace(",", "")), int(match[3].replace(",", "")), match[4]
        )
    if match := re.fullmatch(r"([\d,]+) bp of (N|literal sequence|given sequence)", text):
        length = int(match[1].replace(",", ""))
        return Segment("", 0, length, "+", None if match[2] == "N" else b"N" * length)
    raise ValueError(f"segment {text!r}")


def _column(
    arrays: Mapping[str, np.ndarray],
    row: Mapping[str, Any],
    genome: EditedGenome | None,
    sizes: Mapping[str, int],
) -> Column:
    key, resolution = row["key"], row["resolution"]

    def a_map(name: str, chrom: str, place: Mapping[str, Any], length: float) -> Map:
        values = arrays[name].astype(float)
        middles = place["start"] + resolution * np.arange(len(values)) + resolution // 2
        outside = (middles < 0) | (middles >= length)
        return masked(chrom, place["start"], place["end"], values, np.exp(values), outside)

    references = tuple(
        a_map(f"own_{key}_{k}", r["chrom"], r, sizes[r["chrom"]])
        for k, r in enumerate(row["references"])
    )
    bins = [arrays[f"bins_{key}_{k}"] for k in range(len(references))]
    length = np.inf if genome is None else genome.chromsizes.get(row["contig"], np.inf)
    former = f"alternative_{key}"  # its name in version 1
    name = former if former in arrays else f"alternate_{key}"
    alternate = a_map(name, row["contig"], row, length)
    lifted = lifted_insulation([r.insulation for r in references], bins, len(alternate.values))
    return Column(
        resolution,
        references,
        alternate,
        arrays[f"reference_{key}"],
        lifted,
        tuple(row.get("breakpoints", row.get("marks", ()))),
        genome,
        of_ratio=True,
    )


def _zoom(arrays: Mapping[str, np.ndarray]) -> tuple[str, list[list[Column]]]:
    """What ``orca-cool predict --at`` wrote: one window at each level."""
    about = json.loads(str(arrays["metadata"]))
    # what version 0.1 called it
    windows = about.get("zoom", about.get("series"))
    lengths = about.get("chromsizes", {})
    names = {
        int(arrays[key]): key.removeprefix("resolution_")
        for key in arrays
        if key.startswith("resolution_")
    }
    columns = []
    for text, (chrom, start, end) in windows.items():
        resolution, name = int(text), names[int(text)]
        values, eps = arrays[f"prediction_{name}"].astype(float), float(arrays[f"eps_{name}"])
        frequency = np.exp(values) * (arrays[f"expected_{name}"] + eps)
        middles = start + resolution * np.arange(len(values)) + resolution // 2
        outside = (middles < 0) | (middles >= lengths.get(chrom, np.inf))
        m = masked(chrom, start, end, values, frequency, outside)
        columns.append(Column(resolution, (m,), label="predicted"))
    columns.sort(key=lambda c: -c.resolution)
    changes = "; ".join(map(str, about.get("edits") or ()))
    title = f"{about.get('model_name', about.get('model'))}: {columns[0].references[0].chrom}"
    title += f":{about['at']:,}" if "at" in about else ""
    return title + (f", {shorten(changes, 100, placeholder=' ...')}" if changes else ""), [columns]
