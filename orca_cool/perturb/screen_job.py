"""What ``orca-cool screen local`` does: which base pairs hold the contacts of their bin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool.errors import EditError, RegionError
from orca_cool.genome.regions import Region, interval_of, merge_regions, parse_region
from orca_cool.genome.source import SequenceSource
from orca_cool.genome.textfile import TextFile
from orca_cool.maps.bigwig import import_pybigwig
from orca_cool.perturb.screen_options import digest_of, require_known
from orca_cool.perturb.screen_output import ScreenResult, paths_of, write_files
from orca_cool.perturb.screen_places import ScreenJob
from orca_cool.perturb.screen_plan import require_apart, require_memory, tiled
from orca_cool.prediction.job import Opened

if TYPE_CHECKING:
    from orca_cool.perturb.screen_local import Level

#: Settings that the paper's screen has and ours has not.
PRESETS = {"orca": {"module": "1M", "strands": "forward"}}


@dataclass(frozen=True, kw_only=True)
class LocalScreenJob(ScreenJob[ScreenResult]):
    """Score units of regions, or given sites.

    Attributes
    ----------
    regions : whose units are screened; with ``sites`` none is needed.
    unit : length of a unit in bp. width, step : units of another width every so many bp instead.
    sites : BED of the units themselves.
    preset : "orca": the paper's settings where none are given (module 1M, forward strand).
    top, flank : how many of the strongest units are listed, with how many bp of sequence around.
    """

    unit: int = 10
    width: int | None = None
    step: int | None = None
    sites: str | None = None
    preset: str | None = None
    top: int = 100
    flank: int = 50

    def check(self) -> None:
        """As :meth:`ScreenJob.check`."""
        if self.preset is not None:
            require_known("--preset", self.preset, PRESETS)
        super().check()
        for name in ("unit", "width", "step"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise EditError(f"--{name} {value} is less than 1")
        if not self.regions and self.sites is None:
            raise RegionError("there is nothing to screen: give a REGION or --sites BED")
        if self.sites is not None and (self.width is not None or self.step is not None):
            raise EditError("--width and --step tile a REGION; --sites has units of its own")
        if self.output is not None:
            import_pybigwig()

    @property
    def both_or_forward(self) -> str:
        """The strands, by option or preset."""
        return self.strands or PRESETS.get(self.preset or "", {}).get("strands", "both")

    @property
    def module_name(self) -> str | None:
        """The module that is asked for, by option or preset, if any is."""
        return self.module or PRESETS.get(self.preset or "", {}).get("module")

    @property
    def shape(self) -> tuple[int, int]:
        """Width of a tiled unit and the step between units, in bp."""
        width = self.width or self.unit
        return width, self.step or width

    @property
    def overlap(self) -> int | None:
        """bp between units that overlap their neighbours; None: they do not."""
        width, step = self.shape
        return step if self.sites is None and step < width else None

    def paths(self) -> list[Path]:
        """What is written; the file with the settings first."""
        return list(paths_of(str(self.output), self.names).values())

    def check_inputs(self) -> None:
        """Raise what the models' headers, the genome and the files tell, before torch is loaded."""
        super().check_inputs()
        if not self.edits:
            self.units(self.source)

    def units(self, source: SequenceSource) -> list[Region]:
        """What is screened, in the genome's order.

        Raises
        ------
        RegionError, EditError
            If a region or site is not in the genome, two overlap, a region is too short, or there
            are more units than fit into memory.
        """
        sizes = source.chromsizes
        wanted = [parse_region(text, sizes) for text in self.regions]
        wanted = merge_regions(wanted, sizes)
        width, step = self.shape
        if self.sites is None:
            require_memory(wanted, width, step, self.runs * len(self.names))
            found = tiled(wanted, width, step)
        else:
            found = self._sites(source, wanted)
        if self.per_sequence > 1:
            require_apart(found)
        if self.replace != "delete":
            self.frames(source, found)
        return found

    def _sites(self, source: SequenceSource, wanted: Sequence[Region]) -> list[Region]:
        file = TextFile(str(self.sites), "sites", RegionError)
        sizes = source.chromsizes
        found = [interval_of(row, sizes) for row in file.rows()]
        if wanted:
            found = [
                s
                for s in found
                if any(r.chrom == s.chrom and r.start <= s.start and s.end <= r.end for r in wanted)
            ]
        if not found:
            where = f" in {', '.join(self.regions)}" if wanted else ""
            raise file.error(f"holds no site{where}")
        order = {chrom: k for k, chrom in enumerate(sizes)}
        return sorted(found, key=lambda r: (order[r.chrom], r.start, r.end))

    @property
    def files(self) -> dict[str, str | None]:
        """The files that are read beside model and genome, by option."""
        return super().files | {"sites": self.sites}

    def units_of(self, opened: Opened) -> Sequence[Region]:
        """What is screened, in the genome's order."""
        return self.units(opened.source)

    def write(self, result: ScreenResult, counts: Mapping[str, int], opened: Opened) -> None:
        """As of any screen."""
        assert self.output is not None
        write_files(result, self.output, opened.source, dict(counts), self.top, self.flank)

    def settings(self, every: Sequence[Opened], level: Level) -> dict[str, Any]:
        """What the scores depend on: plain values."""
        width, step = self.shape
        own = {"width": width, "step": step, "sites_sha256": digest_of(self.sites)}
        return super().settings(every, level) | own
