"""Files in HDF5: contact maps (.mcool, .cool), and multivecs (.mv5)."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from higlass_plugin.files.chromosomes import FileError
from higlass_plugin.files.request import OpenRequest
from higlass_plugin.files.tileset import FileTileset
from orca_cool.errors import CoolerError
from orca_cool.files import atomic_path
from orca_cool.maps.open import open_map
from orca_cool.model.registry import home

logger = logging.getLogger(__name__)

#: Pixels of a .cool that is coarsened when it is opened; of more that takes longer than a minute.
MAX_PIXELS = 20_000_000


def open_hdf5(request: OpenRequest) -> FileTileset:
    """The tileset of a contact map or of a multivec.

    Raises
    ------
    FileError If its chromosomes are not the genome's, or it holds maps that are not one map's
        resolutions. CoolerError
        If a .cool cannot be coarsened.
    """
    import cooler
    from clodius.tiles import cooler as maps
    from clodius.tiles import multivec

    path, source = request.path, str(request.path)
    groups = cooler.fileops.list_coolers(source)
    request.check((map_chromsizes(source) or {}).items())  # before anything is coarsened
    if groups == ["/"]:
        path = zoomified(request.path, request.folder)
        source, groups = str(path), ["/resolutions/"]
    if groups and all(group.startswith("/resolutions/") for group in groups):
        info = dict(maps.tileset_info(source))
        # clodius takes the transforms from a set
        info["transforms"] = sorted(info.get("transforms", ()), key=lambda t: str(t["value"]))
        found = request.tileset("matrix", "cooler", info, lambda ids: maps.tiles(source, ids), (2,))
        found.map = path
        return found
    if groups:
        raise FileError(
            f"file {source!r} holds coolers that are not resolutions of one map "
            f"({groups[0]}); give an .mcool"
        )
    info = multivec.tileset_info(source)
    info["chromsizes"] = _multivec_chromsizes(source)
    request.check(info["chromsizes"])
    return request.tileset("multivec", "multivec", info, lambda ids: multivec.tiles(source, ids))


def map_chromsizes(path: str | Path) -> dict[str, int] | None:
    """{chromosome: bp} of a contact map, in its order; None if the file is something else, or
    cannot be read.
    """
    try:
        return open_map(path).chromsizes
    except CoolerError:
        return None


def zoomified(path: Path, folder: Path | None) -> Path:
    """Coarsen a .cool of one resolution, because HiGlass needs coarser levels.

    Parameters
    ----------
    path : the .cool. folder : where the result is kept; None: ``maps`` in the user's folder.

    Returns
    -------
    Path of the .mcool. It is made once, and used for as long as the .cool stays as it is.

    Raises
    ------
    CoolerError
        If the bins are not of one size, or there are more than MAX_PIXELS pixels.
    """
    import cooler
    from clodius.tiles.cooler import get_zoom_resolutions

    base = cooler.Cooler(str(path))
    if base.binsize is None:
        raise CoolerError(
            f"contact map {str(path)!r} has bins of different sizes, which HiGlass cannot show"
        )
    command = (
        f"`cooler zoomify{' --balance' if 'weight' in base.bins().columns else ''} {path.name}`"
    )
    if base.info["nnz"] > MAX_PIXELS:
        raise CoolerError(
            f"contact map {str(path)!r} has one resolution, and HiGlass needs several: run "
            f"{command} and give the .mcool"
        )
    stat = path.stat()
    facts = hashlib.sha256(
        f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode()
    ).hexdigest()[:16]
    folder = home() / "maps" if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{path.stem}.{facts}.mcool"
    if not made.exists():
        logger.warning(
            "%s has one resolution: coarsening it for HiGlass (%s does that once and for all)",
            path.name,
            command,
        )
        with atomic_path(made) as part:
            resolutions = get_zoom_resolutions(base.chromsizes, base.binsize)
            cooler.zoomify_cooler(str(path), str(part), resolutions, chunksize=1_000_000)
            if "weight" in base.bins().columns:
                for resolution in resolutions[1:]:
                    cooler.balance_cooler(
                        cooler.Cooler(f"{part}::resolutions/{resolution}"), store=True
                    )
    return made


def _multivec_chromsizes(path: str) -> list[list[str | int]]:
    import h5py

    with h5py.File(path, "r") as file:
        names = [c.decode() if isinstance(c, bytes) else str(c) for c in file["chroms"]["name"][:]]
        return [[c, int(n)] for c, n in zip(names, file["chroms"]["length"][:])]
