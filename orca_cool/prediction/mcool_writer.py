"""Writes the stored parts of a prediction as an .mcool with its expected tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from orca_cool.errors import OutputError
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.gaps import masks
from orca_cool.genome.regions import n_bins
from orca_cool.maps.coarser_levels import CoarserRows, coarser_layers
from orca_cool.maps.coolfile import write_mcool
from orca_cool.maps.expected import named_view, write_expected
from orca_cool.maps.pixels import Layer, RowBlock, TransBlock
from orca_cool.model.spec import ModelSpec
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.levels import expected_for, known_band
from orca_cool.prediction.plan import Plan
from orca_cool.prediction.run import PartsNamed
from orca_cool.profile import staged


def layers(engine: Engine, plan: Plan) -> list[Layer]:
    """What the file needs besides its pixels, for every resolution that is written, finest first.

    Models of other people mostly have a single level: those that are coarser are means of its
    pixels (:mod:`orca_cool.maps.coarser_levels`), so that their maps, too, can be zoomed out.

    ``plan.written`` is cut to the distances for which the expected is known.
    """
    settings, source = plan.settings, engine.source
    longest = max(source.chromsizes.values())
    if isinstance(source, EditedGenome):
        # its map may be shown at the coordinates of its reference, which reach further
        longest = max(longest, *source.source.chromsizes.values())
    masked = masks(source, plan.regions, settings.resolutions)
    out = []
    for r in sorted(settings.resolutions):
        module = plan.assignment.module_of(r)
        expected_model = engine.expected(module)
        trans = (
            expected_model.trans
            if settings.trans and module.multi_chromosome and r == module.resolutions[0]
            else None
        )
        expected = expected_for(engine, module, r, n_bins(longest, r))
        plan.written[r] = known_band(expected, plan.written[r])
        eps = module.layer_eps(expected_model, r, engine.spec.bins)
        out.append(Layer(r, expected, eps, plan.written[r], trans, masked[r]))
    if not isinstance(engine.spec, ModelSpec):
        table = engine.expected(plan.assignment.module_of(out[-1].resolution))
        out += coarser_layers(out[-1], table, plan.regions, source.chromsizes)
    return out


class McoolWriter:
    """Writes one prediction.

    Parameters
    ----------
    output : path of the .mcool.
    layers_ : as :func:`layers` gives them.
    """

    def __init__(
        self, engine: Engine, plan: Plan, layers_: list[Layer], output: Path, assembly: str
    ):
        self.engine, self.plan, self.output, self.assembly = engine, plan, output, assembly
        self.layers = layers_
        self.tables: list[Path] = []  # expected tables, once they are written
        # of the levels that are predicted, and of all
        self._top, self._coarsest = max(plan.settings.resolutions), layers_[-1].resolution
        by_resolution = {layer.resolution: layer for layer in layers_}
        coarser = [layer for r, layer in by_resolution.items() if r > self._top]
        self._coarser = CoarserRows(by_resolution[self._top], coarser, output)

    @staged("writing")
    def write(self, parts: PartsNamed) -> None:
        """Write all parts, in order, as they come; the .mcool appears when it is whole.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        settings = self.plan.settings
        try:
            write_mcool(
                self.output,
                chromsizes=dict(self.engine.source.chromsizes),
                assembly=self.assembly,
                layers=self.layers,
                row_blocks=lambda resolution: self._row_blocks(parts, resolution),
                trans=(lambda resolution: self._trans_blocks(parts, resolution))
                if settings.trans
                else None,
                pseudo_depth=settings.pseudo_depth,
                mode=settings.mode,
                metadata=self._metadata(),
                strand_difference=settings.strand_difference,
            )
        except OSError as error:
            raise OutputError(
                f"cannot write {self.output}: {error.strerror or error}; free some space and "
                f"repeat the command to go on"
            ) from error

    def _row_blocks(self, parts: PartsNamed, resolution: int) -> Iterator[RowBlock]:
        if resolution > self._top:
            yield from self._coarser.rows(resolution)
        elif resolution == self._top:
            yield from self._coarser.watched(self._predicted(parts, resolution))
        else:
            yield from self._predicted(parts, resolution)
        if resolution == self._coarsest:
            # the last one: the .mcool is renamed next, and its tables are there before it
            self.tables = write_expected(
                self.output,
                self.layers,
                self.engine.source.chromsizes,
                named_view(self.plan.regions, self.engine.source.chromsizes),
                self.plan.settings.mode,
                self.plan.settings.pseudo_depth,
            )

    def _predicted(self, parts: PartsNamed, resolution: int) -> Iterator[RowBlock]:
        """The rows of a level that is predicted."""
        for part in parts(f"{resolution}."):
            level = np.left_shift(np.int32(resolution), part["level"], dtype=np.int32)
            yield RowBlock(
                str(part["chrom"]),
                int(part["start"]),
                part["values"],
                level,
                part.get("strand_difference"),
            )

    def _trans_blocks(self, parts: PartsNamed, resolution: int) -> Iterator[TransBlock]:
        if resolution != self._top:
            return  # at once: these blocks come last of all, and other resolutions have none
        for part in parts(f"trans.{resolution}."):
            yield TransBlock(
                str(part["chrom1"]),
                str(part["chrom2"]),
                int(part["start1"]),
                int(part["start2"]),
                part["values"],
                resolution,
                part.get("strand_difference"),
            )

    def _metadata(self) -> dict[str, object]:
        spec = self.engine.spec
        return {
            **{k: v for k, v in self.plan.identity.items() if k != "chromsizes"},
            "bands": {str(layer.resolution): layer.band for layer in self.layers},
            "cell_type": spec.cell_type,
            "licence": spec.licence,
        }
