"""Scores as INFO fields of the VCF that was scored. Its lines stay as they are, and get what is
said of each of their ALTs behind what their INFO holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from orca_cool import __version__
from orca_cool.effects.scores import SCORES
from orca_cool.effects.table_columns import MEANINGS, RANKED
from orca_cool.genome.textfile import TextFile

#: What the names of the fields begin with.
PREFIX = "ORCA_"

_ABOUT = {
    "rank": ("Integer", "rank among the scored variants of the run, 1 is the strongest"),
    "rank_percentile": ("Float", "percentile among the scored variants of the run"),
    "null_places": ("Integer", "matched places that were scored"),
}


def fields_of(columns: Sequence[str]) -> dict[str, str]:
    """The columns of a summary that become fields, by their names in the file."""
    first = columns.index(RANKED[0])
    wanted = [c for c in columns[first:] if c != "status"]
    return {f"{PREFIX}{column.upper()}": column for column in wanted}


def header_lines(columns: Sequence[str]) -> list[str]:
    """The declarations of the fields, which are one number for each ALT."""
    out = []
    for name, column in fields_of(columns).items():
        kind, words = _ABOUT.get(column, ("Float", ""))
        if column in SCORES:
            words = f"{MEANINGS[column]}; the largest of levels and sites"
        elif not words:
            score = column.removesuffix("_percentile").removesuffix("_z")
            what = "percentile" if column.endswith("_percentile") else "z"
            words = f"{what} of {score} among matched places"
        text = f'{words} (docs/edits.md)",Source="orca-cool",Version="{__version__}"'
        out.append(f'##INFO=<ID={name},Number=A,Type={kind},Description="{text}>')
    return out


def annotated(
    file: TextFile, rows: Iterable[Sequence[str]], columns: Sequence[str]
) -> Iterator[str]:
    """Lines of a VCF with scores.

    Parameters
    ----------
    file : the VCF. rows : of a summary of its variants, in any order. columns : of the summary.
    """
    fields = fields_of(columns)
    by_allele: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        told = dict(zip(columns, row, strict=True))
        by_allele[told["where"], told["alt"]] = told
    for number, line in file:
        if line.startswith("#CHROM"):
            yield from (f"{text}\n" for text in header_lines(columns))
        parts = line.split("\t")
        if line.startswith("#") or len(parts) < 8:
            if not line.startswith(f"##INFO=<ID={PREFIX}"):  # of a former run
                yield f"{line}\n"
            continue
        where = f"{file.name} line {number}"
        told_of = [by_allele.get((where, alt)) for alt in parts[4].split(",")]
        kept = [e for e in parts[7].split(";") if e not in ("", ".") and not e.startswith(PREFIX)]
        for name, column in fields.items():
            values = [_shown(one, column) for one in told_of]
            if any(value != "." for value in values):
                kept.append(f"{name}={','.join(values)}")
        yield "\t".join([*parts[:7], ";".join(kept) or ".", *parts[8:]]) + "\n"


def _shown(told: dict[str, str] | None, column: str) -> str:
    value = "." if told is None else told[column]
    return "." if value in ("", "nan") else value


def write_vcf(
    file: TextFile,
    rows: Iterable[Sequence[str]],
    columns: Sequence[str],
    path: Path,
    *,
    packed: bool,
) -> None:
    """Write a VCF with scores; packed as bgzip, which tabix and bcftools index."""
    lines = annotated(file, rows, columns)
    if not packed:
        with open(path, "w", encoding="utf-8", newline="") as stream:
            stream.writelines(lines)
        return
    from Bio.bgzf import BgzfWriter  # writes the blocks, and the empty one at the end

    with BgzfWriter(str(path), "wb") as blocks:
        for line in lines:
            blocks.write(line.encode("utf-8"))
