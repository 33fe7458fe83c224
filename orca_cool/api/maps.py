"""Maps of a genome by a model: the part of ``Predictor`` that needs no edits."""

from __future__ import annotations

import logging
import os
from functools import cached_property
from typing import TYPE_CHECKING

from orca_cool.api.values import Genome, open_genome
from orca_cool.genome.regions import Region, parse_position, parse_region
from orca_cool.genome.source import SequenceSource
from orca_cool.model.named import open_named, require_no_device
from orca_cool.model.window_model import ENCODE
from orca_cool.prediction import EDGES, WINDOW_DTYPES, WINDOW_STORE_SIZE
from orca_cool.prediction.job import Job, Opened
from orca_cool.prediction.progress import progress_bar

if TYPE_CHECKING:
    import pandas as pd

    from orca_cool.maps.contact_map import ContactMap
    from orca_cool.model.window_model import WindowModel
    from orca_cool.prediction.engine import Engine
    from orca_cool.prediction.region import RegionMaps

logger = logging.getLogger(__name__)


class MapPredictor:
    """Maps of one genome by one model; see :class:`orca_cool.api.predictor.Predictor`, which adds
    edits, scores and files.
    """

    def __init__(
        self,
        model: WindowModel | str | os.PathLike[str],
        genome: Genome | SequenceSource | str | os.PathLike[str],
        *,
        device: str = "auto",
        dtype: str = "float32",
        encoder_dtype: str = "float32",
        force_dtype: bool = False,
        store: str | os.PathLike[str] | None = None,
        edges: str = EDGES[0],
        cell_type: str | None = None,
        any_genome: bool = False,
        progress: bool = True,
        window_store: str | os.PathLike[str] | None = None,
        window_store_dtype: str = WINDOW_DTYPES[0],
        window_store_size: float = WINDOW_STORE_SIZE,
    ):
        from orca_cool.model.bundle import Model

        self.model = open_named(model) if isinstance(model, str | os.PathLike) else model
        if isinstance(genome, str | os.PathLike):
            name = os.fspath(genome)
            self.genome = open_genome(name)
        else:
            self.genome = genome if isinstance(genome, Genome) else Genome(genome)
            name = self.genome.name
        spec = self.model.spec
        if ENCODE not in self.model.capabilities:
            require_no_device(spec, device)
        if cell_type is not None:
            spec.check_cell_type(cell_type)
            if isinstance(self.model, Model):
                self.model = self.model.for_cell_type(cell_type)
        spec = self.model.spec
        _ = spec.map_number  # ModelError that lists them, where one of several is to be chosen
        self.progress = progress
        job = Job(
            model=str(getattr(self.model, "path", spec.name)),
            genome=name,
            cell_type=spec.cell_type if spec.cell_types else None,
            any_genome=any_genome,
            device=device,
            dtype=dtype,
            encoder_dtype=encoder_dtype,
            force_dtype=force_dtype,
            store=None if store is None else os.fspath(store),
            edges=edges,
            window_store=None if window_store is None else os.fspath(window_store),
            window_store_dtype=window_store_dtype,
            window_store_size=window_store_size,
        )
        job.check()
        self._opened = Opened.of(job, self.model, self.genome.source, logger.warning)

    @property
    def _engine(self) -> Engine:
        return self._opened.engine

    @cached_property
    def _maps(self) -> RegionMaps:
        from orca_cool.prediction.region import RegionMaps

        return RegionMaps(self._engine)

    def _region(self, region: str | Region) -> Region:
        return parse_region(region, self.genome.chromsizes) if isinstance(region, str) else region

    def predict(
        self, region: str | Region, resolution: int | None = None, *, fill: bool = False
    ) -> ContactMap:
        """The contact map of a region: the same pixels as in a file of its whole chromosome.

        Parameters
        ----------
        region : "chrII", "chrII:100,000-400,000" (0-based, end-exclusive).
        resolution : bin in bp, a level of the model; None: the finest one that predicts every pair
            of the region.
        fill : show coarser levels where this one does not reach; otherwise NaN stands there.

        Returns
        -------
        ContactMap of the bins that the region touches, (n, n).

        Raises
        ------
        RegionError, ModelError

        Examples
        --------
        >>> p.predict("chrII:200,000-280,000").resolution
        2000
        """
        where = self._region(region)
        with progress_bar(self.progress, "window", str(where), self._engine) as report:
            return self._maps.predict(where, resolution, fill=fill, progress=report)

    def zoom(
        self, position: str, *, module: str | None = None, edges: str | None = None
    ) -> dict[int, ContactMap]:
        """Maps of all levels around a position, as the released program predicts them.

        Parameters
        ----------
        position : "chrII:238,265" (0-based), the base that every level centres on.
        module : of the model ("32M"); None: its first.
        edges : "zero-padded" (as released) or "real"; None: as released, and real of a model that
            predicts whole windows by itself.

        Returns
        -------
        {resolution in bp: ContactMap}, coarse to fine.

        Raises
        ------
        RegionError, ModelError

        Examples
        --------
        >>> {r: m.region.start for r, m in p.zoom("chrII:238,265").items()}  # doctest: +SKIP
        {8000: 0, 4000: 0, 2000: 110265}
        """
        chrom, at = parse_position(position, self.genome.chromsizes)
        chosen = self.model.spec.module_with((), module)
        as_released = ENCODE in self.model.capabilities
        edges = edges or (EDGES[1] if as_released else EDGES[0])
        maps = self._engine.zoom(chosen, chrom, at, edges)
        return {m.resolution: m for m in maps}

    def profiles(self, region: str | Region) -> pd.DataFrame:
        """Predicted chromatin profiles of a region.

        Returns
        -------
        DataFrame with columns chrom, start, end (base bins) and one for each of the model's
        profiles.

        Raises
        ------
        ModelError
            If the model predicts no profiles.
        """
        import pandas as pd

        names = self.model.spec.profiles
        where = self._region(region)
        base = self.model.spec.base_bin
        first, last = where.start // base, -(-where.end // base)
        values = self._engine.profiles(where.chrom, first, last - first)
        starts = range(first * base, last * base, base)
        frame = pd.DataFrame({"chrom": where.chrom, "start": starts})
        length = self.genome.chromsizes[where.chrom]
        frame["end"] = (frame["start"] + base).clip(upper=length)
        return frame.assign(**dict(zip(names, values)))
