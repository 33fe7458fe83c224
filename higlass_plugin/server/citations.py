"""What to cite with what the page shows."""

from __future__ import annotations

from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.tiles import JsonObject
from orca_cool import __version__

#: The papers, by what they are cited for.
PAPERS = (
    (
        "the model's architecture, Orca",
        "Zhou J. Sequence-based modeling of three-dimensional genome architecture from kilobase to "
        "chromosome scale. Nature Genetics 54, 725-734 (2022)",
        "10.1038/s41588-022-01065-4",
    ),
    (
        "files of contact maps",
        "Abdennur N, Mirny LA. Cooler: scalable storage for Hi-C data and other genomically "
        "labeled arrays. Bioinformatics 36(1), 311-316 (2020)",
        "10.1093/bioinformatics/btz540",
    ),
    (
        "the viewer",
        "Kerpedjiev P, Abdennur N, Lekschas F, et al. HiGlass: web-based visual exploration and "
        "analysis of genome interaction maps. Genome Biology 19, 125 (2018)",
        "10.1186/s13059-018-1486-1",
    ),
    (
        "SCC, where you tell it",
        "Yang T, Zhang F, Yardımcı GG, et al. HiCRep: assessing the reproducibility of Hi-C data "
        "using a stratum-adjusted correlation coefficient. Genome Research 27(11), 1939-1949 "
        "(2017)",
        "10.1101/gr.220640.117",
    ),
)

#: What to cite with the numbers of a file, in a line.
CITATION = (
    f"orca-cool {__version__}; Orca: Zhou, Nature Genetics 54, 725-734 (2022), doi:{PAPERS[0][2]}"
)


def citations(
    registry: TilesetRegistry, model: str | None, genome: str | None, cell_type: str | None
) -> JsonObject:
    """What to cite.

    Parameters
    ----------
    model, genome, cell_type : of the prediction that is shown; None: the first that fits.

    Returns
    -------
    ``version`` of orca-cool; ``line`` : one line, with the model and the digest of its weights;
    ``papers`` : a list of ``for``, ``text`` and ``doi``. On a server without predictions the line
    names no model.
    """
    papers = [{"for": what, "text": text, "doi": doi} for what, text, doi in PAPERS]
    line = f"orca-cool {__version__}"
    if registry.models():
        address = registry.served.reference(model, genome, cell_type)
        predicted = registry.served.predicted(address)
        of = f", {address.cell_type}" if address.cell_type else ""
        line += (
            f", model {address.model}{of} (digest {predicted.engine.digest[:12]}) on genome "
            f"{address.genome} ({predicted.assembly})"
        )
    return {"version": __version__, "line": line, "papers": papers}
