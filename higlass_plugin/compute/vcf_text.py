"""Lines of VCF that a client sends, read as variants within limits."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from orca_cool.errors import EditError
from orca_cool.genome.source import SequenceSource
from orca_cool.variants import Variant, read_variants
from orca_cool.variants.budget import Budget

#: Different names in the columns FILTER, INFO and FORMAT of lines of VCF: for each that the
#: header does not define htslib takes longer than for the one before.
MAX_FIELDS = 300

#: Put before lines of VCF that have no header.
_HEADER = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def variants_of_text(text: str, source: SequenceSource, budget: Budget) -> list[Variant]:
    """The variants of lines of VCF, one for each ALT.

    The lines need no header, and may have spaces instead of tabs.

    Raises
    ------
    EditError
        If they are no VCF, or exceed the budget.
    """
    lines = text.replace("\r\n", "\n").strip("\n")
    if not lines.startswith("#"):
        # typed and pasted lines have often lost their tabs
        lines = _HEADER + "\n".join(
            "\t".join(line.split(None, 7)) for line in lines.split("\n") if line.strip()
        )
    rows = [line for line in lines.split("\n") if line.strip() and not line.startswith("#")]
    cells = [line.split("\t", 9) for line in rows]
    budget.spend(changes=sum(1 + alts.count(",") for row in cells for alts in row[4:5]))
    fields = {f.partition("=")[0] for row in cells for c in row[6:9] for f in re.split("[;:]", c)}
    if len(fields) > MAX_FIELDS:
        raise EditError(
            f"the VCF lines have {len(fields):,} different FILTER, INFO and FORMAT fields; at most "
            f"{MAX_FIELDS} are read; leave out those that say nothing of the variants"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.vcf"
        path.write_text(lines + "\n", encoding="utf-8", errors="replace")
        try:
            return list(read_variants(path, source))
        except EditError as error:
            raise EditError(
                str(error)
                .replace(repr(str(path)), "the VCF text")
                .replace(str(path), "the VCF text")
            ) from error
