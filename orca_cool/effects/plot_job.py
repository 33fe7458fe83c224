"""What ``orca-cool plot`` does where maps are predicted: what an edit changes, at every level."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool.errors import EditError, ModelError, RegionError
from orca_cool.genome.regions import Region, parse_length, parse_position, parse_region
from orca_cool.locks import holding
from orca_cool.maps.open import MapFile, open_map
from orca_cool.maps.picture import picture_paths, save_figures
from orca_cool.maps.weights import WEIGHT
from orca_cool.prediction import EDGES
from orca_cool.prediction.job import MANY_EDITS, Job, Opened, Say

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from orca_cool.effects.columns import Column
    from orca_cool.model.network_spec import ModuleSpec
    from orca_cool.model.spec import ModelDescription
    from orca_cool.prediction.engine import Engine
    from orca_cool.variants.options import Edited

#: More places than this are no picture any more.
MAX_PLACES = 24


@dataclass(frozen=True, kw_only=True)
class Style:
    """How maps of all levels are drawn.

    Attributes
    ----------
    levels : comma-separated resolutions or windows; None: all.
    genes : GTF, GFF3 or BED of genes to draw below the maps.
    observed : measured .cool or .mcool to draw beside them. clr_weight_name : column of its
        balancing weights.
    triangles : maps rotated by 45 degrees.
    vmax, dmax : ends of the colour scales of log observed/expected, and of the difference.
    """

    levels: str | None = None
    genes: str | None = None
    observed: str | None = None
    clr_weight_name: str = WEIGHT
    triangles: bool = False
    vmax: float | None = None
    dmax: float | None = None

    def check(self) -> None:
        """Raise if the measured map cannot be used, before anything is predicted."""
        if (file := self.open_observed()) is not None:
            file.balanced_or_raw(file.resolutions[0])

    def open_observed(self) -> MapFile | None:
        """The measured map; None if none is drawn."""
        return None if self.observed is None else open_map(self.observed, self.clr_weight_name)

    def read_genes(self, places: Sequence[tuple[str, int, int]]) -> pd.DataFrame | None:
        """Genes around some intervals of the reference; None if none are drawn."""
        if self.genes is None:
            return None
        import pandas as pd

        from orca_cool.genome.gene_models import read_genes, spans

        found = [read_genes(self.genes, region) for region in spans(places)]
        return pd.concat(found, ignore_index=True)

    def save(
        self,
        pages: Iterable[Sequence[Column]],
        number: int,
        title: str,
        genes: pd.DataFrame | None,
        paths: Sequence[Path],
    ) -> None:
        """Draw and write page by page. ``number`` : of pages, which may be made as they are
        drawn.
        """
        from orca_cool.effects.figure import draw_columns

        observed = self.open_observed()

        def figures() -> Iterator[Figure]:
            for k, columns in enumerate(pages, start=1):
                which = f" (place {k} of {number})" if number > 1 else ""
                yield draw_columns(
                    columns,
                    title=f"{title}{which}, mean of both strands",
                    genes=genes,
                    triangles=self.triangles,
                    observed=observed,
                    vmax=self.vmax,
                    dmax=self.dmax,
                )

        save_figures(figures(), paths)


@dataclass(frozen=True, kw_only=True)
class PlotJob(Job):
    """Predict maps around a place, or around each breakpoint of the edits, and draw all levels.

    Attributes
    ----------
    output : the picture (.png, .pdf, .svg); several places are pages of a .pdf, or numbered files.
    at : centre of the windows in the reference ("chr9:110,404,000"). region : its middle is the
        centre, and levels whose windows do not hold it are left out. Neither: each breakpoint.
    module : of the model; None: the first that has the levels.
    style : levels, genes, colours. force : replace pictures that are there.
    """

    output: str
    at: str | None = None
    region: str | None = None
    module: str | None = None
    style: Style = Style()
    force: bool = False

    def check(self) -> None:
        """Raise what can be known to be wrong before model and genome are opened."""
        super().check()
        self.style.check()
        picture_paths(Path(self.output), 1, force=True)  # a wrong ending or folder
        if self.at is not None and self.region is not None:
            raise RegionError(
                f"--at {self.at!r} and --region {self.region!r} both say where; give one"
            )
        if self.at is None and self.region is None and not self.edits:
            raise RegionError("there is nothing to draw around: give --at, --region or --edit")

    def check_inputs(self) -> None:
        """Raise what the model's header and the genome tell, before torch is loaded."""
        super().check_inputs()
        self._levels(self.spec)
        self._place(self.source.chromsizes)

    @holding(lambda job: [job.output])
    def run(
        self, opened: Opened | None = None, *, progress: bool = True, say: Say = lambda line: None
    ) -> list[Path]:
        """Predict and draw.

        Returns
        -------
        Paths of the pictures.

        Raises
        ------
        OrcaCoolError
        """
        opened = self.ready(opened, say)
        engine = opened.new_engine(opened.reference, fine_bytes=MANY_EDITS)
        module, levels = self._levels(opened.spec)
        place = self._place(opened.reference.chromsizes)
        if self.region is not None and place is not None:
            longest = engine.spec.window(levels[0])
            levels = [r for r in levels if engine.spec.window(r) >= len(place)]
            if not levels:
                raise RegionError(
                    f"region {str(place)!r} is longer than the longest window that can be drawn, "
                    f"{longest:,} bp"
                )
        if opened.edited is not None:
            return self._edited(engine, module, levels, place, opened.edited)
        assert place is not None
        return self._reference(engine, module, levels, place)

    def _levels(self, spec: ModelDescription) -> tuple[ModuleSpec, list[int]]:
        """Module, and those of its levels that are drawn, coarse to fine."""
        texts = self.style.levels
        wanted = {spec.parse_level(text) for text in texts.split(",")} if texts else set()
        chosen = spec.module_with(wanted, self.module)
        return chosen, [r for r in chosen.resolutions if not wanted or r in wanted]

    def _place(self, chromsizes: dict[str, int]) -> Region | None:
        """What ``at`` or ``region`` says."""
        if self.at is not None:
            chrom, position = parse_position(self.at, chromsizes)
            return Region(chrom, position, position + 1)
        return None if self.region is None else parse_region(self.region, chromsizes)

    def _reference(
        self, engine: Engine, module: ModuleSpec, levels: Sequence[int], place: Region
    ) -> list[Path]:
        from orca_cool.effects.columns import Column

        spec, reach = engine.spec, engine.spec.window(module.resolutions[0])
        # the nearest base bin, where encodings of the chromosome serve
        middle = (place.start + place.end) // 2 // spec.base_bin * spec.base_bin
        paths = picture_paths(Path(self.output), 1, self.force)
        known = self.style.read_genes([(place.chrom, middle - reach, middle + reach)])
        maps = engine.zoom(module, place.chrom, middle, self.edges or EDGES[0])
        columns = [Column.of_zoom(m, engine.source) for m in maps if m.resolution in levels]
        self.style.save([columns], 1, f"{spec.name}: {place.chrom}:{middle:,}", known, paths)
        return paths

    def _edited(
        self,
        engine: Engine,
        module: ModuleSpec,
        levels: Sequence[int],
        place: Region | None,
        edited: Edited,
    ) -> list[Path]:
        from orca_cool.effects.align import Reference
        from orca_cool.effects.columns import compared
        from orca_cool.effects.sites import around, site_at, sites

        genome, spec = edited.genome, engine.spec
        changes = textwrap.shorten("; ".join(map(str, edited.changes)), 100, placeholder=" ...")
        if not genome.edited:
            raise EditError(f"{changes!r} changes nothing: the sequence is the reference's")
        if place is None:
            places = sites(genome, spec, module)
        else:
            middle = (place.start + place.end) // 2
            places = [site_at(genome, place.chrom, middle, spec.base_bin)]
        if len(places) > MAX_PLACES:
            raise EditError(
                f"the edits have breakpoints at {len(places):,} places, more than {MAX_PLACES} "
                f"pictures; choose one with --at"
            )
        paths = picture_paths(Path(self.output), len(places), self.force)
        reach = spec.window(module.resolutions[0])
        known = self.style.read_genes(
            [interval for site in places for interval in around(genome, site, reach)]
        )
        reference = Reference(engine, module)
        pages = (compared(reference, genome, site, levels) for site in places)
        self.style.save(pages, len(places), f"{spec.name}: {changes}", known, paths)
        return paths


def plot_variant(predicted: str, output: str, style: Style, *, force: bool = False) -> list[Path]:
    """Draw a file of ``orca-cool variants --maps``: reference, alternate, difference, each level;
    or one of ``orca-cool predict --at``: each level.

    Raises
    ------
    EditError, OutputError, ModelError
    """
    from orca_cool.effects.read_maps import read_maps

    style.check()
    title, pages = read_maps(predicted)
    pages = [_chosen(columns, style.levels) for columns in pages]
    paths = picture_paths(Path(output), len(pages), force)
    places = [place for columns in pages for column in columns for place in column.places()]
    style.save(pages, len(pages), title, style.read_genes(places), paths)
    return paths


def _chosen(columns: Sequence[Column], levels: str | None) -> list[Column]:
    """Columns of the levels that are asked for, by resolution or window."""
    if levels is None:
        return list(columns)
    wanted = [parse_length(text.strip()) for text in levels.split(",")]
    windows: dict[int, Any] = {c.resolution: c.maps[-1].end - c.maps[-1].start for c in columns}
    for text, level in zip(levels.split(","), wanted):
        if level not in (*windows, *windows.values()):
            raise ModelError(
                f"level {text.strip()!r} is not in the file; it has: {', '.join(map(str, windows))}"
            )
    return [c for c in columns if c.resolution in wanted or windows[c.resolution] in wanted]
