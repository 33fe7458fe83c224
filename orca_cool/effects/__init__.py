"""What an edit changes: reference and alternate aligned, scores, tables, lifted maps, pictures."""

from __future__ import annotations

from pathlib import Path

#: What a bin of the reference shows that the edited genome has several times: the mean of the
#: copies, or the first of them.
COPIES = ("mean", "first")

#: Which haplotypes have a change whose scores are taken: both, or one of two.
GENOTYPES = ("hom", "het")

#: The score by which variants are ranked, unless another is asked for: the paper's.
RANK_BY = "log_fold_change"


def companion_path(output: Path, kind: str) -> Path:
    """``out.mcool`` -> ``out.<kind>.mcool``."""
    return output.with_name(f"{output.name.removesuffix('.mcool')}.{kind}.mcool")


def companions_folder(output: Path) -> Path:
    """Where the files beside a prediction are made before all of them are renamed. It is left only
    by a run that was killed, so that those which it had renamed already are no reason to stop.
    """
    return output.with_name(output.name + ".lifted.partial")
