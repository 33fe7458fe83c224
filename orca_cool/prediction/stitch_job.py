"""What ``orca-cool stitch`` does: windows that somebody else has predicted, made an .mcool with its
expected tables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool import __version__
from orca_cool.errors import ModelError, OutputError
from orca_cool.files import check_output
from orca_cool.genome.open import open_genome
from orca_cool.locks import holding
from orca_cool.prediction.job import Say
from orca_cool.prediction.progress import progress_bar

if TYPE_CHECKING:
    from orca_cool.genome.source import SequenceSource
    from orca_cool.maps.pixels import Layer
    from orca_cool.prediction.stitch import Stitching


@dataclass(frozen=True, kw_only=True)
class StitchJob:
    """Join windows of maps, and write them.

    Attributes
    ----------
    windows : folder of .npz, an .npz or a Zarr group (docs/stitch.md).
    genome : FASTA, .2bit, or the name of a shipped genome. chrom_names : see
        :class:`orca_cool.prediction.job.Job`.
    output : the .mcool; expected tables appear beside it.
    expected : how contact frequency falls with distance, see
        :func:`orca_cool.maps.expected_named.named_expected`.
    name : what the file calls the model; None: the name of the windows' folder.
    cell_type, licence, assembly : for the file's metadata; assembly None: the genome's name.
    mode : "regularised" or "contact"; pseudo_depth : N of ``count = N * frequency``.
    force : replace the output.
    """

    windows: str
    genome: str
    output: str
    expected: str
    chrom_names: str | None = None
    name: str | None = None
    cell_type: str = ""
    licence: str = ""
    assembly: str | None = None
    mode: str = "regularised"
    pseudo_depth: float = 1e5
    force: bool = False

    def check(self) -> None:
        """Raise OutputError if the output cannot be written."""
        from orca_cool.maps.coolfile import MODES

        if Path(self.output).suffix != ".mcool":
            raise OutputError(f"the output {self.output!r} must end in .mcool")
        check_output(Path(self.output), self.force)
        if self.mode not in MODES:
            raise ModelError(f"mode {self.mode!r} is not one of {', '.join(MODES)}")

    @holding(lambda job: [job.output])
    def run(self, *, progress: bool = True, say: Say = lambda line: None) -> list[Path]:
        """Read, join and write.

        Parameters
        ----------
        progress : show progress bars. say : called with what the user should know, line by line.

        Returns
        -------
        Paths of the .mcool and its tables. They appear when they are whole.

        Raises
        ------
        WindowsError
            If the windows cannot be read, do not fit each other, or not the genome.
        GenomeError, ModelError, OutputError
            If genome or expected cannot be used, or the output cannot be written.
        """
        self.check()
        source = open_genome(self.genome, self.chrom_names)
        from orca_cool.maps.given_windows import GivenWindows
        from orca_cool.prediction.stitch import Stitching

        where = f"genome {source.name!r}"
        with progress_bar(progress, "window", "read") as report:
            given = GivenWindows.open(self.windows, source.chromsizes, where, report)
        stitching = Stitching.of(given)
        for line in stitching.told():
            say(line)
        layers = self._layers(stitching, source)
        if coarser := layers[1:]:
            levels = ", ".join(f"{layer.resolution:,}" for layer in coarser)
            say(f"coarser levels, for zooming out: means of these pixels in bins of {levels} bp")
        return self._write(stitching, source, layers, progress)

    def _layers(self, stitching: Stitching, source: SequenceSource) -> list[Layer]:
        """What the file needs beside its pixels, for the windows' level and for coarser ones."""
        from orca_cool.genome.gaps import masks
        from orca_cool.genome.regions import n_bins
        from orca_cool.maps.coarser_levels import coarser_layers
        from orca_cool.maps.expected_named import named_expected
        from orca_cool.maps.pixels import Layer

        given, r = stitching.given, stitching.given.resolution
        table = named_expected(self.expected, r, given.bins)
        masked = masks(source, stitching.regions, [r])[r]
        for chrom, unknown in given.unknown.items():
            masked[chrom] |= unknown
        longest = n_bins(max(source.chromsizes.values()), r)
        expected = table.by_distance(r, longest)
        fine = Layer(r, expected, table.eps(r, given.bins), stitching.band, None, masked)
        return [fine, *coarser_layers(fine, table, stitching.regions, source.chromsizes)]

    def _write(
        self, stitching: Stitching, source: SequenceSource, layers: list[Layer], progress: bool
    ) -> list[Path]:
        from orca_cool.maps.coarser_levels import CoarserRows
        from orca_cool.maps.coolfile import write_mcool
        from orca_cool.maps.expected import named_view, table_path, view_path, write_expected

        output, sizes = Path(self.output), dict(source.chromsizes)
        beside = [table_path(output, layer.resolution) for layer in layers]
        check_output(output, self.force, [*beside, view_path(output)])
        fine, tables = layers[0], list[Path]()
        coarser = CoarserRows(fine, layers[1:], output)
        total = sum(len(stretch.windows) for stretch in stitching.stretches)
        with progress_bar(progress, "window", "stitch") as report:
            done = 0

            def tick() -> None:
                nonlocal done
                done += 1
                report(done, total)

            def rows(resolution: int) -> Any:
                if resolution == fine.resolution:
                    blocks = stitching.row_blocks(fine.expected, fine.eps, tick)
                    yield from coarser.watched(blocks)
                else:
                    yield from coarser.rows(resolution)
                if resolution == layers[-1].resolution:
                    # the last: the .mcool is renamed next, and its tables are there before it
                    view = named_view(stitching.regions, sizes)
                    how = self.mode, self.pseudo_depth
                    tables.extend(write_expected(output, layers, sizes, view, *how))

            write_mcool(
                output,
                chromsizes=sizes,
                assembly=self.assembly or source.name,
                layers=layers,
                row_blocks=rows,
                pseudo_depth=self.pseudo_depth,
                mode=self.mode,
                metadata=self._metadata(stitching, source, layers),
            )
        return [output, *tables]

    def _metadata(
        self, stitching: Stitching, source: SequenceSource, layers: list[Layer]
    ) -> dict[str, Any]:
        """What the file says of its making."""
        given, levels = stitching.given, [layer.resolution for layer in layers]
        name = self.name or re.sub(r"(\.npz|\.zarr(\.zip)?)$", "", Path(self.windows).name)
        return {
            "orca_cool": __version__,
            "model": name,
            "model_name": name,
            "model_digest": given.digest,
            "genome": source.name,
            "genome_file": Path(self.genome).name,
            "assembly": self.assembly or source.name,
            "regions": [str(region) for region in stitching.regions],
            "resolutions": levels,
            "written": levels,
            "bands": {str(layer.resolution): layer.band for layer in layers},
            "strand_difference": False,
            "trans": False,
            "cell_type": self.cell_type,
            "licence": self.licence,
            "stitched": {
                "windows": len(given.windows),
                "resolution": given.resolution,
                "bins": given.bins,
                "nearest_unknown": given.near,
                "expected": Path(self.expected).name,
            },
        }
