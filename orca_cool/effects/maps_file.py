"""The matrices of a scored variant as a file (.npz): what ``orca-cool variants --maps`` writes and
``orca-cool plot`` draws.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool.effects.align import Comparison
from orca_cool.files import atomic_path
from orca_cool.genome.edited import EditedGenome
from orca_cool.variants import Variant

#: Version of the files of matrices. Version 2 calls "alternate" and "breakpoints" what version 1
#: called "alternative" and "marks"; both are read.
MAPS_VERSION = 2


def save_maps(
    path: Path, variant: Variant, genome: EditedGenome, found: Sequence[Comparison]
) -> None:
    """The matrices of a variant as named arrays, by site and level, with a JSON text ``about`` that
    explains them.
    """
    arrays: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for c in found:
        key = f"{len({str(r['site']) for r in rows} | {str(c.site)}) - 1}_{c.resolution}"
        m = c.alternate
        arrays |= {
            f"alternate_{key}": m.values,
            f"reference_{key}": c.reference.values,
            f"touched_{key}": c.touched,
        }
        row: dict[str, Any] = {
            "key": key,
            "site": str(c.site),
            "resolution": c.resolution,
            "contig": m.chrom,
            "start": m.start,
        }
        row |= {"end": m.end, "breakpoints": list(c.site.breakpoints), "references": []}
        for k, (r, index) in enumerate(zip(c.references, c.bins)):
            arrays |= {f"own_{key}_{k}": r.values, f"bins_{key}_{k}": index}
            row["references"].append({"chrom": r.chrom, "start": r.start, "end": r.end})
        rows.append(row)
    segments = {contig: [str(s) for s in genome.contigs[contig]] for contig in genome.edited}
    about = {
        "format": "orca-cool.maps",
        "format_version": MAPS_VERSION,
        "name": variant.name,
        "changes": [str(c) for c in variant.changes],
    }
    sizes = {r.chrom: genome.source.chromsizes[r.chrom] for c in found for r in c.references}
    arrays["about"] = np.array(
        json.dumps(about | {"chromsizes": sizes, "segments": segments, "maps": rows})
    )
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **arrays)
