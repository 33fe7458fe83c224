"""``Predictor``: a model and a genome, and everything that can be asked of them."""

from __future__ import annotations

import copy
import dataclasses
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool.api.maps import MapPredictor
from orca_cool.api.values import Genome
from orca_cool.errors import EditError
from orca_cool.prediction.job import MANY_EDITS, Job
from orca_cool.variants import Variant
from orca_cool.variants.options import EditOptions, edited_genome

if TYPE_CHECKING:
    import pandas as pd

    from orca_cool.effects.align import Comparison

logger = logging.getLogger(__name__)


class Predictor(MapPredictor):
    """Predict contact maps of a genome, and what edits change in them.

    Sequence is encoded once and the encodings are used again, also by the predictors of edited
    genomes (:meth:`edit`).

    Parameters
    ----------
    model : a model (:func:`orca_cool.load_model`), its name or folder, or anybody's model that
        has what :class:`orca_cool.model.window_model.WindowModel` lists, also as "FILE.py:NAME" or
        the name of an entry point of the group ``orca_cool.models``, whose code is run.
    genome : a genome (:func:`orca_cool.open_genome`), or its file or name.
    device : "auto" (a CUDA GPU where there is one), "cpu", "cuda", "cuda:N" or "mps".
    dtype, encoder_dtype : number types of decoders and encoder; "float32" is exact, others give way
        to it where they are slower. force_dtype : take them all the same.
    store : file of encodings to read from and add to.
    edges : what the encoder sees at the ends of windows: "real" sequence, or "zero-padded".
    cell_type : one of ``model.cell_types``; None: the only one. A model of several needs it.
    any_genome : accept a genome of another assembly than the model's.
    progress : show progress bars.
    window_store : file of decoded windows to read from and add to.
    window_store_dtype : "float32"; with "float16" all windows are rounded to it.
    window_store_size : gigabytes that the file takes at most.

    Attributes
    ----------
    model, genome : as given, open.

    Raises
    ------
    ModelError, GenomeError, DeviceError
        If they cannot be used, or do not fit each other; the message names both.

    Examples
    --------
    >>> p = oc.Predictor("yeast-metaphase", "example", progress=False)
    >>> m = p.predict("chrII:100,000-400,000", resolution=4000)
    >>> m.values.shape
    (75, 75)
    """

    def edit(
        self,
        *edits: str,
        vcf: str | os.PathLike[str] | None = None,
        haplotype: int | None = None,
        sample: str | None = None,
        seqstr: str | None = None,
        strict: bool = False,
    ) -> Predictor:
        """A predictor of the edited genome; it shares this one's encodings.

        Parameters
        ----------
        edits : as :func:`orca_cool.parse_edits` reads them, in this genome's coordinates; ``@FILE``
            reads them from a file.
        vcf : a file of variants to apply; haplotype, sample : only what this haplotype carries.
        seqstr : chromosomes in Seqstr's notation.
        strict : a variant that cannot be used is an error, not a warning.

        Raises
        ------
        EditError

        Examples
        --------
        >>> alt = p.edit("chrII:238,208-238,325 del")
        >>> alt.genome.chromsizes["chrII"]
        813061
        """
        options = EditOptions(
            tuple(edits), None if vcf is None else os.fspath(vcf), haplotype, sample, seqstr, strict
        )
        opened = self._opened
        edited = edited_genome(
            options, self.genome.source, opened.assembly if opened.known else None
        )
        for line in edited.warnings():
            logger.warning(line.removeprefix("warning: "))
        other = copy.copy(self)
        other.__dict__.pop("_maps", None)
        other.genome = Genome(edited.genome)
        other._opened = dataclasses.replace(
            opened, job=dataclasses.replace(opened.job, edits=options), edited=edited
        )
        other._opened.__dict__["engine"] = self._engine.for_genome(edited.genome)
        other._opened.__dict__["reference_engine"] = self._engine
        return other

    def compare(
        self, edit: str, resolution: int, *, site: int | None = None, module: str | None = None
    ) -> Comparison:
        """What an edit changes at one level.

        Parameters
        ----------
        edit : as :func:`orca_cool.parse_edits` reads it. resolution : bin in bp.
        site : number of the place, from 0, where the edit has several (:meth:`comparisons`).

        Raises
        ------
        EditError
            If there are several places and none is chosen, or none; the message lists them.
        ModelError

        Examples
        --------
        >>> c = p.compare("chrII:238,208-238,325 del", resolution=4000)
        >>> round(c.scores()["mse"], 3) > 0
        True
        """
        found = self.comparisons(edit, resolutions=[resolution], module=module)
        if site is not None and 0 <= site < len(found):
            return found[site]
        if len(found) != 1 or site is not None:
            places = "; ".join(f"{k}: {c.site}" for k, c in enumerate(found)) or "none"
            raise EditError(
                f"{edit!r} is looked at at {len(found)} places ({places}); choose site="
            )
        return found[0]

    def comparisons(
        self, edit: str, *, resolutions: Sequence[int] | None = None, module: str | None = None
    ) -> list[Comparison]:
        """What an edit changes, at every place that it cuts and every level.

        Parameters
        ----------
        resolutions : in bp; None: all levels of the module.
        module : of the model; None: its first that has the resolutions.

        Returns
        -------
        One comparison for each site and level, coarse to fine.

        Raises
        ------
        EditError, ModelError
        """
        from orca_cool.effects.align import Reference, compare

        chosen = self.model.spec.module_with(resolutions or (), module)
        genome = edited_genome(EditOptions((edit,)), self.genome.source).genome
        if not genome.edited:
            raise EditError(f"{edit!r} changes nothing: the sequence is the reference's")
        reference = Reference(self._engine, chosen)
        (found,) = compare(reference, [genome], keep=resolutions)
        return found

    def iter_scores(
        self,
        variants: str | os.PathLike[str] | Sequence[Variant],
        *,
        module: str | None = None,
        resolutions: Sequence[int] | None = None,
        loops: str | os.PathLike[str] | None = None,
        shifts: Sequence[int] = (),
        strict: bool = False,
        stop_below: float | None = None,
        genotype: str = "hom",
        null: int = 0,
        seed: int = 0,
        genes: str | os.PathLike[str] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Scores of variants, one by one, as rows of the table of ``orca-cool variants``.

        Parameters
        ----------
        variants : a file (VCF, BEDPE, table, edits), or variants that were read.
        module : of the model; None: its first. resolutions : of its levels, in bp; None: all.
        loops : BEDPE of loops of the reference whose strength is compared.
        shifts : bp by which windows are also moved; scores are averaged.
        strict : a variant that cannot be scored is an error, not a row with the reason.
        stop_below : finer levels are left out where no pixel's log observed/expected changes by so
            much at the coarsest (docs/edits.md); None: none are.
        genotype : "hom" or "het" (docs/numbers.md).
        null : matched places of each variant, among whose scores its own are told
            (docs/numbers.md). seed : of the places. genes : whose distance is matched, too.

        Yields
        ------
        A dict for each variant, level and breakpoint; ``status`` says "ok", or why not.

        Raises
        ------
        EditError, ModelError
        """
        from orca_cool.effects.scored import Wanted, scored_rows

        chosen = self.model.spec.module_with(resolutions or (), module)
        wanted = Wanted(
            tuple(resolutions or chosen.resolutions),
            tuple(shifts),
            None if loops is None else Path(loops),
            strict,
            stop_below,
            genotype,
            null,
            seed,
            None if genes is None else Path(genes),
        )
        engine = self._opened.new_engine(self.genome.source, fine_bytes=MANY_EDITS)
        found = Path(variants) if isinstance(variants, str | os.PathLike) else variants
        yield from scored_rows(engine, chosen, found, wanted)

    def score_variants(
        self, variants: str | os.PathLike[str] | Sequence[Variant], **options: Any
    ) -> pd.DataFrame:
        """Scores of variants, one row a variant, level and breakpoint.

        Parameters
        ----------
        variants, options : see :meth:`iter_scores`.

        Returns
        -------
        DataFrame with the columns of the table of ``orca-cool variants``.

        Examples
        --------
        >>> df = p.score_variants("in.vcf")  # doctest: +SKIP
        >>> df.sort_values("log_fold_change").tail()  # doctest: +SKIP
        """
        import pandas as pd

        from orca_cool.effects.table_columns import COLUMNS, COLUMNS_WITH_NULL

        columns = COLUMNS_WITH_NULL if options.get("null") else COLUMNS
        return pd.DataFrame(self.iter_scores(variants, **options), columns=list(columns))

    def to_mcool(
        self, output: str | os.PathLike[str], regions: Sequence[str] = (), **options: Any
    ) -> list[Path]:
        """Write a multi-resolution .mcool with expected tables, as ``orca-cool predict`` does.

        Parameters
        ----------
        regions : UCSC strings; none: all chromosomes, or those that were edited.
        options : further fields of :class:`orca_cool.effects.predict_job.PredictJob`: ``levels``,
            ``trans``, ``fill_distance``, ``diff``, ``force``, ...

        Returns
        -------
        Paths written.

        Raises
        ------
        OrcaCoolError

        Examples
        --------
        >>> p.to_mcool("out.mcool", regions=["chrII"])  # doctest: +SKIP
        """
        from orca_cool.effects.predict_job import PredictJob

        base = {f.name: getattr(self._opened.job, f.name) for f in dataclasses.fields(Job)}
        job = PredictJob(**base, output=os.fspath(output), regions=tuple(regions), **options)
        return job.run(self._opened, progress=self.progress, say=logger.info)

    def tileset(self, **options: Any) -> Any:
        """Predicted tiles for higlass-python, in a notebook.

        Parameters
        ----------
        options : ``track``, ``profile``, ``difference``, ``lift_to_reference``: see
            :func:`higlass_plugin.notebook.tileset`.
        """
        from higlass_plugin.notebook import tileset

        job = self._opened.job
        return tileset(
            job.model,
            job.genome,
            list(job.edits.edit),
            device=job.device,
            dtype=job.dtype,
            force_dtype=job.force_dtype,
            store=job.store,
            window_store=job.window_store,
            any_genome=job.any_genome,
            cell_type=job.cell_type,
            **options,
        )

    def __repr__(self) -> str:
        return f"<Predictor: model {self.model.spec.name!r} on genome {self.genome.name!r}>"
