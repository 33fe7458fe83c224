"""Thousands of variants to a table of scores: streamed, and resumed exactly after any interruption.

Rows are appended to a file in a work folder beside the output; after the rows of a group of
variants a line of a journal says how many variants are done and how long the file is. A run that is
killed is repeated: the file is cut to what the journal vouches for, and goes on from there. The
table appears, by a rename, when it is complete.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool import __version__
from orca_cool.effects.align import Comparison, Reference, compare
from orca_cool.effects.scores import SCORES, Choices, average, score
from orca_cool.effects.sites import sites
from orca_cool.errors import EditError, OrcaCoolError, OutputError
from orca_cool.files import check_output
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.edited import EditedGenome
from orca_cool.model.spec import ModuleSpec
from orca_cool.prediction.engine import Engine
from orca_cool.variants import Variant

FORMAT = "orca-cool.scores"
FORMAT_VERSION = 1

#: Version of the files of matrices. Version 2 calls "alternate" and "breakpoints" what version 1
#: called "alternative" and "marks"; both are read.
MAPS_VERSION = 2

#: Columns of the table before the scores, and the one after them.
ABOUT = (
    "name",
    "chrom",
    "start",
    "end",
    "kind",
    "changes",
    "where",
    "module",
    "resolution",
    "site",
    "reference",
)
COLUMNS = (*ABOUT, *SCORES, "status")

#: A variant with breakpoints at more places than this is a haplotype, whose map `orca-cool predict`
#: makes.
MAX_SITES = 64

#: (variants done, variants in all)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Summary:
    """What became of a list of variants: how many were scored, and the reasons of those that were
    not, counted.
    """

    scored: int
    unscored: dict[str, int]


def edited_genome(
    variant: Variant, engine: Engine, module: ModuleSpec, resolution: int
) -> EditedGenome:
    """The genome with one variant; EditError with the reason if it cannot be scored at
    ``resolution``.
    """
    if variant.problem:
        raise EditError(variant.problem)
    genome = apply_edits(engine.source, variant.changes)
    for contig in genome.edited:
        if genome.chromsizes[contig] < resolution:
            raise EditError(
                f"{contig} would be {genome.chromsizes[contig]:,} bp, shorter than one bin of "
                f"{resolution:,} bp"
            )
    if (places := len(sites(genome, engine.spec, module))) > MAX_SITES:
        raise EditError(
            f"it has breakpoints at {places:,} places, more than {MAX_SITES}; predict it with "
            f"`orca-cool predict --edit`"
        )
    return genome


def score_variants(
    engine: Engine,
    module: ModuleSpec,
    variants: Sequence[Variant],
    output: str | Path,
    *,
    resolutions: Sequence[int],
    identity: dict[str, Any],
    choices: Choices | None = None,
    shifts: Sequence[int] = (),
    maps: str | Path | None = None,
    strict: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Score variants one by one against the reference, and write a table, tab-separated, with a
    header.

    Parameters
    ----------
    resolutions : levels of the module to score.
    identity : plain values that tell this run from another (files, settings); with them an
        unfinished run is recognised.
    shifts : bp by which windows are moved besides 0; scores are averaged over all.
    maps : folder for the matrices, one .npz for each variant.
    strict : the first variant that cannot be scored is an error.
    force : replace the output, and start anew.

    Returns
    -------
    Summary. Beside the table, ``output`` with ".json" appended holds the settings and the summary.

    Raises
    ------
    OutputError, EditError
    """
    output = Path(output)
    settings = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "orca_cool": __version__,
        "model": engine.spec.name,
        "model_digest": engine.bundle.digest,
        "genome": engine.source.name,
        "module": module.name,
        "resolutions": list(resolutions),
        "shifts": list(shifts),
        "maps": None if maps is None else str(maps),
        **engine.numerics,
        **identity,
    }
    check_output(output, force)
    if maps is not None:
        Path(maps).mkdir(parents=True, exist_ok=True)
    journal = _Journal(output, settings, restart=force)
    reference = Reference(engine, module)
    group = max(1, engine.batch // 2)
    try:
        report = progress or (lambda done, total: None)
        report(journal.done, len(variants))
        while journal.done < len(variants):
            some = variants[journal.done : journal.done + group]
            rows = _rows(
                reference,
                some,
                journal.done,
                tuple(resolutions),
                choices or Choices(),
                (0, *shifts),
                maps,
                strict,
            )
            journal.add(rows)
            report(journal.done, len(variants))
        return journal.finish()
    except OSError as error:
        raise OutputError(
            f"cannot write {output}: {error.strerror or error}; free some space and repeat the "
            f"command to go on"
        ) from error


def _rows(
    reference: Reference,
    variants: Sequence[Variant],
    first: int,
    resolutions: tuple[int, ...],
    choices: Choices,
    shifts: tuple[int, ...],
    maps: str | Path | None,
    strict: bool,
) -> list[tuple[list[str], str]]:
    """For each variant its rows, as text, and its status."""
    genomes: dict[int, EditedGenome] = {}
    failed: dict[int, str] = {}
    for k, variant in enumerate(variants):
        try:
            genomes[k] = edited_genome(
                variant, reference.engine, reference.module, min(resolutions)
            )
        except OrcaCoolError as error:
            if strict:
                raise EditError(f"{variant.where}: {variant.name}: {error}") from error
            failed[k] = " ".join(str(error).split())
    footprints = [
        (variants[k].chrom, variants[k].start, max(variants[k].end, variants[k].start + 1))
        for k in genomes
    ]
    by_shift = [
        compare(reference, list(genomes.values()), footprints=footprints, shift=s, keep=resolutions)
        for s in shifts
    ]
    out: list[tuple[list[str], str]] = []
    done = 0
    for k, variant in enumerate(variants):
        if k in failed:
            out.append(([_row(variant, reference.module.name, None, {}, failed[k])], failed[k]))
            continue
        found = [comparisons[done] for comparisons in by_shift]
        done += 1
        rows = []
        for same in zip(*found):
            status = "; ".join(
                filter(
                    None,
                    [
                        "ok" if genomes[k].edited else "ok: the sequence is the reference's",
                        variant.note,
                    ],
                )
            )
            rows.append(
                _row(
                    variant,
                    reference.module.name,
                    same[0],
                    average([score(c, choices) for c in same]),
                    status,
                )
            )
        out.append((rows, "ok"))
        if maps is not None:
            save_maps(
                Path(maps) / f"{first + k + 1:06d}_{_safe(variant.name)}.npz",
                variant,
                genomes[k],
                found[0],
            )
    return out


def _row(
    variant: Variant, module: str, found: Comparison | None, scores: dict[str, float], status: str
) -> str:
    changes = "; ".join(map(str, variant.changes))
    about: list[Any] = [
        variant.name,
        variant.chrom,
        variant.start,
        variant.end,
        variant.kind,
        changes,
        variant.where,
        module,
    ]
    about += (
        ["", "", ""]
        if found is None
        else [
            found.resolution,
            found.site,
            ",".join(f"{c}:{p:,}" for c, p in found.site.references),
        ]
    )
    values = [_number(scores.get(name, float("nan"))) for name in SCORES]
    return (
        "\t".join(
            [re.sub(r"\s+", " ", str(x)) for x in about] + values + [re.sub(r"\s+", " ", status)]
        )
        + "\n"
    )


def _number(value: float) -> str:
    return "nan" if np.isnan(value) else f"{value:.8g}"


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name)[:60] or "variant"


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
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as stream:
        np.savez_compressed(stream, **arrays)
    os.replace(temporary, path)


class _Journal:
    """The unfinished table and how much of it is certain."""

    def __init__(self, output: Path, settings: dict[str, Any], restart: bool):
        self.output, self.settings = output, settings
        self.folder = output.with_name(output.name + ".partial")
        self.rows, self.path = self.folder / "rows.tsv", self.folder / "journal.jsonl"
        self.done, self.scored = 0, 0
        self.unscored: Counter[str] = Counter()
        if restart:
            shutil.rmtree(self.folder, ignore_errors=True)
        entries = self._read()
        try:
            self.folder.mkdir(exist_ok=True)
            if not entries:
                self.rows.write_text("\t".join(COLUMNS) + "\n")
                self.path.write_text(
                    json.dumps({"settings": settings, "bytes": self.rows.stat().st_size}) + "\n"
                )
                return
            if entries[0]["settings"] != json.loads(json.dumps(settings)):
                differ = [
                    k
                    for k in settings
                    if entries[0]["settings"].get(k) != json.loads(json.dumps(settings[k]))
                ]
                raise OutputError(
                    f"{self.folder} holds an unfinished table of other settings "
                    f"({', '.join(differ) or 'unknown'}); "
                    "repeat the command that began it, or use --force to start anew"
                )
            for entry in entries[1:]:
                self.done += entry["variants"]
                self.scored += entry["scored"]
                self.unscored.update(entry["unscored"])
            os.truncate(self.rows, entries[-1]["bytes"])
            # the journal's own last line may be torn, and what is added must begin a line
            whole = "".join(json.dumps(entry) + "\n" for entry in entries)
            temporary = self.path.with_name("journal.tmp")
            temporary.write_text(whole)
            os.replace(temporary, self.path)
        except OSError as error:
            raise OutputError(f"cannot write {self.folder}: {error.strerror or error}") from error

    def _read(self) -> list[dict[str, Any]]:
        """Whole lines of the journal; none if the run had not begun."""
        try:
            lines = self.path.read_text().splitlines()
            size = self.rows.stat().st_size
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise OutputError(
                f"{self.path} cannot be read ({error}); use --force to start anew"
            ) from error
        entries = []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                break
            if (
                entry["bytes"] > size
            ):  # a machine that lost its power may have kept the journal and not the rows
                break
            entries.append(entry)
        return entries

    def add(self, found: Sequence[tuple[list[str], str]]) -> None:
        """Rows of the next variants."""
        with open(self.rows, "a") as stream:
            stream.write("".join("".join(rows) for rows, _ in found))
            stream.flush()
            size = os.fstat(stream.fileno()).st_size
        reasons = Counter(status for _, status in found if status != "ok")
        scored = len(found) - sum(reasons.values())
        entry = {"variants": len(found), "scored": scored, "unscored": dict(reasons), "bytes": size}
        with open(self.path, "a") as stream:
            stream.write(json.dumps(entry) + "\n")
        self.done += len(found)
        self.scored += scored
        self.unscored.update(reasons)

    def finish(self) -> Summary:
        """Put the table in its place."""
        summary = Summary(self.scored, dict(self.unscored.most_common()))
        beside = self.output.with_name(self.output.name + ".json")
        temporary = self.folder / "about.json"
        temporary.write_text(
            json.dumps(
                self.settings | {"scored": summary.scored, "unscored": summary.unscored}, indent=1
            )
            + "\n"
        )
        os.replace(temporary, beside)
        os.replace(self.rows, self.output)
        shutil.rmtree(self.folder, ignore_errors=True)
        return summary
