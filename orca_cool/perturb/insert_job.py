"""What ``orca-cool screen insert`` does: which sequence, put at a place, changes its contacts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool.effects.parquet import import_pyarrow
from orca_cool.errors import EditError, ModelError, RegionError
from orca_cool.files import check_output, sha256
from orca_cool.genome.loops import read_loops
from orca_cool.genome.regions import Region
from orca_cool.genome.source import SequenceSource
from orca_cool.genome.textfile import STANDARD_INPUT
from orca_cool.maps.bigwig import import_pybigwig
from orca_cool.maps.phasing import PhasingTrack
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription
from orca_cool.perturb.insert_layout import require_layout
from orca_cool.perturb.insert_output import InsertResult, paths_of, write_files
from orca_cool.perturb.insert_plan import Cassette, cassettes
from orca_cool.perturb.insert_scores import DOT, DOT_APART, SIGNED, chosen_scores
from orca_cool.perturb.insert_sources import (
    BACKGROUND,
    SHUFFLES,
    Backgrounds,
    Source,
    parse_background,
    read_sites,
    read_sources,
)
from orca_cool.perturb.screen_base import VirtualScreenJob
from orca_cool.perturb.screen_options import chosen_level, digest_of, require_known
from orca_cool.perturb.screen_output import SCORE
from orca_cool.prediction.job import Opened, Say
from orca_cool.prediction.sharing import Alone

if TYPE_CHECKING:
    from orca_cool.perturb.insert_run import InsertScreen
    from orca_cool.perturb.screen_local import Level


#: Settings that the paper's screen has and ours has not.
PRESETS: dict[str, dict[str, Any]] = {
    "orca": {"module": "32M", "resolution": 128_000, "lengths": (12_800,)}
}


@dataclass(frozen=True, kw_only=True)
class InsertScreenJob(VirtualScreenJob[InsertResult]):
    """Put sequences at sites, and score each by how much the contacts there change.

    Attributes
    ----------
    sources : files of BED or FASTA, ``shuffle:FILE``, ``dinucleotide:FILE``, ``background:GC``.
    sites : a BED, or ``background:GC:N``: the middles of N random chromosomes.
    overwrite : the site's bases are replaced, from its first one on; else sequence is inserted
        before it, and what lies behind it moves.
    lengths : in bp, that each source is cut to, or grown to in its genome; none: its own.
    orientations : "+", "-" and patterns such as ">><<", with commas between them.
    number : of copies, of "+" and "-". spacing : bp of the genome between copies.
    scores : names of :data:`orca_cool.perturb.insert_scores.SCORES`, with commas between them.
    loops : BEDPE, of the score loop_change.
    phasing_track : bigWig or bedGraph that says where A is, of the score signed; None: the share of
        G and C.
    mask : BED of what does not count: bins of which more than a quarter is masked.
    preset : "orca": the paper's compartment activity screen where nothing else is given.
    """

    sources: tuple[str, ...] = ()
    sites: str = ""
    overwrite: bool = True
    lengths: tuple[int, ...] = ()
    orientations: str = "+"
    number: tuple[int, ...] = (1,)
    spacing: tuple[int, ...] = (0,)
    scores: str = "row"
    loops: str | None = None
    phasing_track: str | None = None
    preset: str | None = None

    def check(self) -> None:
        """Raise what can be known to be wrong before model and genome are opened.

        Raises
        ------
        EditError, OutputError, ModelError, DeviceError, RegionError
        """
        super().check()
        if self.preset is not None:
            require_known("--preset", self.preset, PRESETS)
        if not self.sources or not self.sites:
            raise EditError("a screen by insertion needs --sources and --sites")
        if any(text.rpartition(":")[2] == STANDARD_INPUT for text in (*self.sources, self.sites)):
            raise EditError("--sources and --sites are read twice; give files, not standard input")
        self._check_mode()
        self.check_models()
        self._check_scores()
        if self.output is not None:
            json, *others = paths_of(self.output, self.columns).values()
            check_output(json, self.force, others)
            import_pyarrow()
            import_pybigwig()

    def _check_mode(self) -> None:
        if self.background and self.store is not None:
            raise EditError(f"--sites {self.sites!r} are not in the genome of --store")
        if self.background and self.mask is not None:
            raise EditError(f"--mask {self.mask!r} means nothing to --sites {self.sites!r}")
        if self.overwrite:
            return
        if self.both_or_forward != "both":
            raise EditError("--insert is scored on both strands; leave out --strands")
        if self.preset is not None:
            raise EditError(f"--preset {self.preset!r} overwrites; leave out --insert")

    def _check_scores(self) -> None:
        _, resolution = self.chosen(self.spec)
        if self.phasing_track is not None and (
            SIGNED not in self.names_of_scores or self.background is not None
        ):
            raise EditError(
                f"--phasing-track {self.phasing_track!r} is for the score {SIGNED} of sites in "
                f"the genome; --scores are {self.scores!r}, --sites {self.sites!r}"
            )
        if ("loop_change" in self.names_of_scores) != (self.loops is not None):
            raise EditError(
                f"--scores {self.scores!r} and --loops {self.loops!r} do not fit: loop_change is "
                f"of the loops of --loops, and only it"
            )
        if DOT in self.names_of_scores and not any(
            c.number > 1 and (c.length is None or c.span(c.length) > DOT_APART * resolution)
            for c in self.cassettes
        ):
            raise EditError(
                f"--scores {self.scores!r}: dot is between the first copy and the last, which must "
                f"lie {DOT_APART} bins of {resolution:,} bp apart; give --number and --spacing, or "
                f"--loops and the score loop_change"
            )

    @property
    def background(self) -> tuple[float, int] | None:
        """Share of G and C and number of the random chromosomes; None: sites lie in the genome."""
        if not self.sites.startswith(f"{BACKGROUND}:"):
            return None
        return parse_background(self.sites, "--sites")

    @property
    def names_of_scores(self) -> tuple[str, ...]:
        """The scores that are wanted."""
        return chosen_scores(self.scores)

    @property
    def columns(self) -> list[str]:
        """Columns of the table: a score, or score and cell type."""
        if self.names == [SCORE]:
            return list(self.names_of_scores)
        return [f"{score}.{name}" for name in self.names for score in self.names_of_scores]

    @property
    def cassettes(self) -> list[Cassette]:
        """All combinations of lengths, orientations, numbers and spacings."""
        lengths = self.lengths or PRESETS.get(self.preset or "", {}).get("lengths", ())
        return cassettes(lengths, self.orientations, self.number, self.spacing)

    @property
    def module_name(self) -> str | None:
        """The module that is asked for, by option or preset, if any is."""
        module: str | None = self.module or PRESETS.get(self.preset or "", {}).get("module")
        return module

    def chosen(self, spec: ModelDescription) -> tuple[ModuleSpec, int]:
        """As :meth:`VirtualScreenJob.chosen`; a preset has a resolution of its own, and a module
        that reads several chromosomes is an error.
        """
        level = PRESETS.get(self.preset or "", {}).get("resolution")
        wanted = level if self.resolution is None else self.resolution
        module, resolution = chosen_level(spec, self.module_name, wanted)
        if module.multi_chromosome:
            raise ModelError(
                f"module {module.name!r} reads several chromosomes; screen insert needs one that "
                f"reads a single one"
            )
        return module, resolution

    def check_inputs(self) -> None:
        """Raise what the model's header, the genome and the files tell, before torch is loaded."""
        super().check_inputs()
        phasing = None if self.phasing_track is None else PhasingTrack(self.phasing_track)
        if not self.edits:
            _, sites = self.plan(self.source, self.genome_of(self.source))
            if phasing is not None:
                for chrom in dict.fromkeys(site.chrom for site in sites):
                    phasing.require(chrom)
        self.loops_of(self.genome_of(self.source))

    def genome_of(self, source: SequenceSource) -> SequenceSource:
        """The genome that is inserted into: that of the sources, or random chromosomes."""
        if self.background is None:
            return source
        gc, number = self.background
        module, _ = self.chosen(self.spec)
        return Backgrounds(gc, number, self.spec.window(module.resolutions[0]), self.seed)

    def loops_of(self, genome: SequenceSource) -> tuple[tuple[str, int, int], ...]:
        """The loops of ``loops``."""
        return () if self.loops is None else read_loops(self.loops, genome.chromsizes)

    def plan(
        self, source: SequenceSource, genome: SequenceSource
    ) -> tuple[list[Source], list[Region]]:
        """The sources and the sites.

        Parameters
        ----------
        source : the genome of the sources. genome : that of the sites.

        Raises
        ------
        EditError, RegionError
            If one of them cannot be used; the message quotes it.
        """
        sources = read_sources(self.sources, source)
        if isinstance(genome, Backgrounds):
            sites = genome.sites()
        else:
            sites = read_sites(self.sites, genome)
        _, resolution = self.chosen(self.spec)
        if self.preset is not None:
            for site in sites:
                if site.start % resolution:
                    raise RegionError(
                        f"the site {str(site)!r} does not begin at a multiple of {resolution:,} "
                        f"bp, as those of --preset {self.preset} do"
                    )
        require_layout(self, sources, source, sites, genome)
        return sources, sites

    def write(self, result: InsertResult, counts: Mapping[str, int], opened: Opened) -> None:
        """As of any screen."""
        assert self.output is not None
        write_files(result, self.output, dict(counts))

    def work_of(self, opened: Opened, share: Alone, say: Say) -> InsertScreen:
        """As of any screen."""
        from orca_cool.perturb.insert_run import InsertScreen

        return InsertScreen(self, self.every(opened, say), share)

    @property
    def files(self) -> dict[str, str | None]:
        """The files that are read beside model, genome, sources and sites, by option."""
        return super().files | {"loops": self.loops, "phasing_track": self.phasing_track}

    def standalone(self) -> InsertScreenJob:
        """As of any screen."""
        sites = self.sites if self.background else _absolute(self.sites)
        sources = tuple(map(_absolute, self.sources))
        return dataclasses.replace(super().standalone(), sources=sources, sites=sites)

    def settings(self, every: Sequence[Opened], level: Level) -> dict[str, Any]:
        """What the scores depend on: plain values."""
        return super().settings(every, level) | {
            "sources": [_told(text) for text in self.sources],
            "sites": _told(self.sites),
            "overwrite": self.overwrite,
            "lengths": [c.length for c in self.cassettes],
            "orientations": [c.orientation for c in self.cassettes],
            "number": [c.number for c in self.cassettes],
            "spacing": [c.spacing for c in self.cassettes],
            "scores": list(self.names_of_scores),
            "loops_sha256": digest_of(self.loops),
            "phasing_track_sha256": digest_of(self.phasing_track),
        }


def _absolute(text: str) -> str:
    """A text of sources or sites, with the path of its file absolute."""
    word, colon, rest = text.partition(":")
    if colon and word == BACKGROUND:
        return text
    if colon and word in SHUFFLES:
        return f"{word}:{Path(rest).absolute()}"
    return str(Path(text).absolute())


def _told(text: str) -> dict[str, str]:
    """A text of sources or sites, with the digest of its file."""
    word, colon, rest = text.partition(":")
    if colon and word == BACKGROUND:
        return {"text": text}
    path = rest if colon and word in SHUFFLES else text
    return {"text": text.replace(path, Path(path).name), "sha256": sha256(path)}
