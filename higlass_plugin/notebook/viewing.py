"""``view``: predicted maps in a notebook in one call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Unpack

from higlass_plugin.clodius_tiles import OptionWords, options_of
from higlass_plugin.notebook.panes import Drawing, make_panes
from higlass_plugin.notebook.widget import MapWidget
from higlass_plugin.registry.address import address_of


def view(
    model: str | os.PathLike[str],
    genome: str | os.PathLike[str],
    region: str | None = None,
    *,
    edit: str | Sequence[str] | None = None,
    vcf: str | None = None,
    value: str = "logoe",
    vmax: float = 1.0,
    dmax: float = 0.5,
    tracks: Sequence[str] = (),
    cell_type: str | None = None,
    **options: Unpack[OptionWords],
) -> MapWidget:
    """Predicted maps in a notebook: of a genome, or, with an edit, of the reference, the edited
    genome and their difference, side by side and moving together.

    HiGlass draws them, from this package and through the notebook's own connection: neither the
    internet nor a port is needed. Tiles are computed as one looks; a map that is hatched is not
    final yet.

    Parameters
    ----------
    model : a model's name or folder. genome : a file (FASTA or .2bit), or the name of a shipped
        genome ("example").
    region : of the reference, such as "chrII:100,000-400,000" (0-based, end-exclusive); None:
        around the edit, or the start of the genome.
    edit : one or several edits, in the grammar of edits. vcf : lines of VCF, all of them made.
    value : "logoe" (natural log observed/expected) or "weight" (contact frequency).
    vmax : end of the symmetric scale of log observed/expected. dmax : of the difference, the
        natural log of edit / reference.
    tracks : of "insulation" and "compartments", those that are shown above every map.
    cell_type : whose maps, of a model of several cell types; such a model needs one.
    options : ``device``, ``dtype``, ``force_dtype``, ``store``, ``window_store``, ``chrom_names``,
        ``any_genome``; see :class:`higlass_plugin.clodius_tiles.Options`.

    Returns
    -------
    The widget, to be shown; its ``region`` can be read and set.

    Raises
    ------
    ModelError, GenomeError, RegionError, EditError, UrlError, DeviceError, StoreError,
    NotebookError
        If an argument cannot be used; at once, not when the widget is shown.

    Examples
    --------
    >>> import higlass_plugin
    >>> edit = "chrII:238,208-238,325 del"
    >>> higlass_plugin.view("yeast-metaphase", "example", edit=edit, device="cpu")
    <MapWidget: yeast-metaphase on example, chrII:238,208-238,325 del, chrII:178,208-298,325>
    """
    address = address_of(model, genome, edit, vcf, cell_type=cell_type or "")
    opened = options_of(options)
    panes = make_panes(address, region, Drawing(value, vmax, dmax, tuple(tracks)), opened)
    name = panes.about["panes"].get("edit", {}).get("name")
    words = f"{os.fspath(model)} on {os.fspath(genome)}" + (f", {name}" if name else "")
    return MapWidget(panes, opened, words)
