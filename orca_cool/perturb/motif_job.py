"""What ``orca-cool screen motifs`` does: which motifs hold the contacts of their bins, and in which
cell type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool.errors import EditError
from orca_cool.genome.regions import Region, merge_regions, parse_region
from orca_cool.genome.source import SequenceSource
from orca_cool.perturb.motif_result import MotifScreenResult, motif_result, paths_of
from orca_cool.perturb.motif_sites import Sites, counted, find_sites
from orca_cool.perturb.motifs import read_matrices
from orca_cool.perturb.screen_options import digest_of
from orca_cool.perturb.screen_output import ScreenResult
from orca_cool.perturb.screen_places import ScreenJob
from orca_cool.prediction.job import Opened, Say
from orca_cool.prediction.sharing import Alone

if TYPE_CHECKING:
    from orca_cool.perturb.screen_local import Level


#: Largest p-value of a hit, unless another is given.
THRESHOLD = 1e-5


@dataclass(frozen=True, kw_only=True)
class MotifScreenJob(ScreenJob[MotifScreenResult]):
    """Knock out every hit of motifs, and a matched background of each.

    Attributes
    ----------
    motifs : file of JASPAR or MEME, whose motifs are looked for in ``regions`` on both strands; or
        BED of hits, with the motif's name in column 4.
    threshold : p-value of a hit of a matrix at the most; None: 1e-5.
    regions : where hits are looked for; with a BED none is needed.
    """

    motifs: str
    threshold: float | None = None
    per_sequence: int = 1
    aggregate: str = "mean"
    replace: str = "shuffle"

    def check(self) -> None:
        """As :meth:`ScreenJob.check`."""
        super().check()
        if not 0 < self.largest_p < 1:
            raise EditError(f"--threshold {self.threshold} is no p-value between 0 and 1")
        if read_matrices(self.motifs) is None:
            if self.threshold is not None:
                raise EditError(
                    f"--threshold {str(self.threshold)!r}: {self.motifs!r} holds no matrices, but "
                    f"hits"
                )
        elif not self.regions:
            raise EditError(
                f"motifs file {self.motifs!r} holds matrices: give a REGION in which to look"
            )

    @property
    def largest_p(self) -> float:
        """The p-value of a hit at the most."""
        return THRESHOLD if self.threshold is None else self.threshold

    def paths(self) -> list[Path]:
        """What is written; the file with the settings first."""
        return paths_of(str(self.output))

    def check_inputs(self) -> None:
        """Raise what the models' headers, the genome and the files tell, before torch is loaded."""
        super().check_inputs()
        if not self.edits:
            self.sites(self.source)

    @cached_property
    def _in_file(self) -> Sites:
        """Those of the genome in its file, which is scanned once."""
        return self._found(self.source)

    def sites(self, source: SequenceSource) -> Sites:
        """Hits and their backgrounds.

        Raises
        ------
        RegionError, EditError
            If a region is not in the genome, or there is no hit.
        """
        return self._in_file if source is self.source else self._found(source)

    def _found(self, source: SequenceSource) -> Sites:
        sizes = source.chromsizes
        regions = merge_regions([parse_region(text, sizes) for text in self.regions], sizes)
        where = ", ".join(self.regions) or "the genome"
        return find_sites(self.motifs, regions, source, self.largest_p, self.seed, where)

    @property
    def files(self) -> dict[str, str | None]:
        """The files that are read beside model and genome, by option."""
        return super().files | {"motifs": self.motifs}

    def units_of(self, opened: Opened) -> Sequence[Region]:
        """Hits and backgrounds, in the genome's order."""
        return self.sites(opened.source).units

    def screen(self, opened: Opened, share: Alone, progress: bool, say: Say) -> MotifScreenResult:
        """As :meth:`VirtualScreenJob.screen`."""
        for line in self.sites(opened.source).told:
            say(line)
        return super().screen(opened, share, progress, say)

    def result_of(self, scored: ScreenResult, opened: Opened) -> MotifScreenResult:
        """Scores of units, put together by motif."""
        return motif_result(self.sites(opened.source), scored)

    def write(self, result: MotifScreenResult, counts: Mapping[str, int], opened: Opened) -> None:
        """As of any screen."""
        assert self.output is not None
        result.write(self.output, {**counted(self.sites(opened.source)), **counts})

    def settings(self, every: Sequence[Opened], level: Level) -> dict[str, Any]:
        """What the scores depend on: plain values."""
        own = {"motifs_sha256": digest_of(self.motifs), "threshold": self.largest_p}
        return super().settings(every, level) | own
