"""The forms in which a table of scores is written: TSV, Parquet, INFO fields of the input's VCF;
every row, or a summary of one row a variant; and beside it a report.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from orca_cool.effects import RANK_BY
from orca_cool.effects.parquet import import_pyarrow
from orca_cool.effects.summary import summarised, summary_columns
from orca_cool.effects.table_columns import ABOUT, RANKED
from orca_cool.effects.vcf_info import write_vcf
from orca_cool.errors import EditError, OutputError
from orca_cool.genome.textfile import TextFile
from orca_cool.variants import is_vcf
from orca_cool.variants.variant import variants_file

#: Suffixes of outputs that are no TSV.
PARQUET = (".parquet", ".pq")
VCF = (".vcf", ".vcf.gz", ".vcf.bgz")
#: Suffixes that promise a form in which no table is written: a TSV of such a name would be misread.
OTHERS = frozenset(
    ".csv .xls .xlsx .ods .json .jsonl .html .htm .bcf .gz .bgz .bz2 .xz .zst .zip .feather .arrow "
    ".h5 .hdf5 .npz .bed .bw .mcool .cool .png .pdf .svg".split()
)

#: Columns that are texts, and whole numbers; all others are numbers.
_TEXTS = frozenset(ABOUT + ("status",)) - {"pos", "start", "end", "resolution"}
_WHOLE = ("pos", "start", "end", "resolution", "null_places", "rank")

#: Rows of a Parquet table that are written together.
_GROUP = 50_000


@dataclass(frozen=True)
class Form:
    """How a table is written.

    Attributes
    ----------
    output : its suffix tells TSV, Parquet (.parquet) or VCF (.vcf, .vcf.gz).
    variants : the file that was scored; a VCF is annotated.
    summary : one row a variant. rank_by : the score by which they are ranked.
    html : a report is written there, too.
    """

    output: str
    variants: str | None = None
    summary: bool = False
    rank_by: str = RANK_BY
    html: str | None = None

    @property
    def kind(self) -> str:
        """ "tsv", "parquet" or "vcf"."""
        name = self.output.lower()
        return "parquet" if name.endswith(PARQUET) else "vcf" if name.endswith(VCF) else "tsv"

    @property
    def is_plain(self) -> bool:
        """True of a TSV of all rows and nothing else, which can be written as rows come."""
        return self.kind == "tsv" and not self.summary and self.html is None

    @property
    def ranks(self) -> bool:
        """Whether variants are ranked."""
        return self.summary or self.kind == "vcf" or self.html is not None

    @property
    def settings(self) -> dict[str, Any]:
        """What the table depends on, beside what its numbers depend on; nothing if it is plain."""
        if self.is_plain:
            return {}
        told = {"form": self.kind, "summary": self.summary, "report": self.html is not None}
        return told | ({"rank_by": self.rank_by} if self.ranks else {})

    def check(self) -> None:
        """Raise what does not go together.

        Raises
        ------
        EditError
            If VCF is asked for and the variants are no VCF, or the score is not known.
        OutputError
            If Parquet is asked for, and pyarrow is missing; or the suffix is of another form.
        """
        suffix = Path(self.output).suffix.lower()
        if self.kind == "tsv" and suffix in OTHERS:
            raise OutputError(
                f"{self.output!r}: tables of scores are not written as {suffix}; give .tsv, "
                f".parquet, or .vcf or .vcf.gz for a VCF with scores"
            )
        if self.rank_by not in RANKED:
            raise EditError(
                f"--rank-by {self.rank_by!r} is not a score; use one of {', '.join(RANKED)}"
            )
        if self.rank_by != RANK_BY and not self.ranks:
            raise EditError(f"--rank-by {self.rank_by!r} is about --summary, --html or a VCF")
        if self.kind == "parquet":
            import_pyarrow()
        if self.kind != "vcf":
            return
        if self.summary:
            raise EditError(
                f"--summary: {self.output!r} has one number for each ALT already; leave it out"
            )
        if self.variants is None or not is_vcf(variants_file(self.variants)):
            raise EditError(
                f"the output {self.output!r} is VCF, which adds scores to the records of a VCF; "
                f"{self.variants or '--edit'} is none: write a table (.tsv, .parquet)"
            )

    def columns(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Columns of what is written of a table with ``columns``."""
        return summary_columns(columns) if self.summary else tuple(columns)

    def write(self, lines: Iterable[str], columns: Sequence[str], path: Path) -> None:
        """Write the table to a file.

        Parameters
        ----------
        lines : of the table, each behind the number of its variant. columns : of the table.
        path : where it is written, whatever its name.
        """
        if self.kind == "vcf":
            assert self.variants is not None
            rows = summarised(lines, columns, self.rank_by)
            name = self.output.lower()
            file = TextFile(self.variants, "variants", EditError, undecodable="replace")
            write_vcf(file, rows, summary_columns(columns), path, packed=not name.endswith(".vcf"))
        elif self.kind == "parquet":
            _write_parquet(self.rows(lines, columns), self.columns(columns), path)
        else:
            with open(path, "w", encoding="utf-8", newline="") as stream:
                stream.writelines(self.text(lines, columns))

    def text(self, lines: Iterable[str], columns: Sequence[str]) -> Iterator[str]:
        """Lines of a TSV, the header first."""
        yield "\t".join(self.columns(columns)) + "\n"
        for fields in self.rows(lines, columns):
            yield "\t".join(fields) + "\n"

    def rows(self, lines: Iterable[str], columns: Sequence[str]) -> Iterator[list[str]]:
        """Fields of what is written, row by row."""
        if self.summary:
            yield from summarised(lines, columns, self.rank_by)
            return
        for line in lines:
            yield line.rstrip("\n").split("\t")[1:]


def _write_parquet(rows: Iterator[list[str]], columns: Sequence[str], path: Path) -> None:
    """A table whose columns are texts, whole numbers (missing where a field is empty) and
    numbers (missing where there is none).
    """
    pyarrow, parquet = import_pyarrow()
    types = [
        pyarrow.string() if c in _TEXTS else pyarrow.int64() if c in _WHOLE else pyarrow.float64()
        for c in columns
    ]
    schema = pyarrow.schema(list(zip(columns, types)))
    temporary = path.with_name(path.name + ".making")
    try:
        with parquet.ParquetWriter(temporary, schema) as writer:
            while True:
                some = list(islice(rows, _GROUP))
                arrays = [
                    pyarrow.array([_value(row[k], c) for row in some], kind)
                    for k, (c, kind) in enumerate(zip(columns, types))
                ]
                writer.write_table(pyarrow.table(arrays, schema=schema))
                if len(some) < _GROUP:
                    break
        with open(temporary, "rb") as made, open(path, "wb") as out:  # keeps the file's mode
            shutil.copyfileobj(made, out)
    finally:
        temporary.unlink(missing_ok=True)


def _value(text: str, column: str) -> Any:
    """A field as Parquet has it."""
    if column in _TEXTS:
        return text
    if text in ("", "nan"):
        return None
    return int(float(text)) if column in _WHOLE else float(text)
