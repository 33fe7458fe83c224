"""Models that are fetched: an archive is downloaded, verified, and its models become bundles."""

from __future__ import annotations

import contextlib
import errno
import logging
import lzma
import shutil
import tarfile
import tempfile
import urllib.parse
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orca_cool.errors import FetchError, OrcaCoolError, OutputError
from orca_cool.files import PARTIAL
from orca_cool.locks import locked_outputs
from orca_cool.model.download import Progress, check_space, disk_error, download
from orca_cool.model.header import is_bundle
from orca_cool.model.registry import Archive, import_bundle

log = logging.getLogger(__name__)

#: Bytes of one file of released models, and of all that are taken out of an archive, and entries
#: that an archive may have. The released ones have a tenth of that.
MAX_FILE, MAX_TOTAL, MAX_ENTRIES = 1 << 30, 8 << 30, 100_000


def fetch(
    archive: Archive,
    name: str,
    out: Path,
    *,
    digest: str | None = None,
    accept_unverified: bool = False,
    force: bool = False,
    keep: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Download an archive and import its models.

    Parameters
    ----------
    name : the model that is wanted; an archive of released models gives its others too, where they
        are not there yet.
    out : folder of the bundles; the download goes to ``downloads`` beside it.
    digest : SHA-256 to hold the download to, in place of the registry's.
    accept_unverified : go on where no SHA-256 is known.
    keep : do not delete the download after the import.

    Returns
    -------
    Folders of the bundles, the wanted one first.

    Raises
    ------
    FetchError
        If the checksum is unknown and not waived, every address fails, or the archive is damaged.
    OutputError
        If the model exists already (without ``force``).
    BundleError
        If what was downloaded does not hold the model.
    """
    digest = _wanted_digest(archive, digest, accept_unverified)
    if (out / name).exists() and not force:
        raise OutputError(f"{out / name} exists; --force replaces it")
    folder = out.parent / "downloads"
    files = {
        url: folder / (Path(urllib.parse.urlsplit(url).path).name or "download")
        for url in archive.urls
    }
    try:
        for made in (out, folder):
            made.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{made} cannot be made: {error.strerror or error}") from error
    with locked_outputs(out / name, *files.values()):
        return _fetched(archive, files, name, out, digest, force, keep, progress)


def _fetched(
    archive: Archive,
    files: dict[str, Path],
    name: str,
    out: Path,
    digest: str | None,
    force: bool,
    keep: bool,
    progress: Progress | None,
) -> list[Path]:
    """Download from the first address that works to its file, and import the models."""
    failures: list[FetchError] = []
    for url, file in files.items():
        try:
            found = download(url, file, digest, progress=progress)
            break
        except FetchError as error:
            failures.append(error)
    else:
        raise failures[0] if len(failures) == 1 else FetchError("; ".join(str(f) for f in failures))
    log.info("SHA-256 of %s: %s%s", file, found, "" if digest else " (not compared with anything)")
    if archive.kind == "bundle":
        paths = [import_bundle(file, out, name, force=force)]
    else:
        paths = import_archive(file, out, [name], archive.models, force=force)
    if not keep:
        file.unlink()
    return paths


def _wanted_digest(archive: Archive, digest: str | None, accept_unverified: bool) -> str | None:
    """The SHA-256 to hold a download to; None if there is none and that is accepted."""
    digest = digest or archive.sha256
    if digest is not None and not (
        len(digest) == 64 and set(digest.lower()) <= set("0123456789abcdef")
    ):
        raise FetchError(f"SHA-256 {digest!r} is not 64 hexadecimal digits")
    if digest is None and not accept_unverified:
        raise FetchError(
            f"no SHA-256 is known for {archive.urls[0]}, so a damaged or altered file could not "
            f"be told; "
            f"give it with --sha256, or accept that with --accept-unverified"
        )
    return digest


def tar_problem(error: Exception) -> str:
    """Why a file is no sound tar archive; tarfile lists what each of its readers says."""
    if isinstance(error, tarfile.ReadError) and "could not be opened" in str(error):
        return "it is none, in no compression, or its beginning is damaged"
    return str(error)


def import_archive(
    file: Path,
    out: Path,
    names: Sequence[str] | None = None,
    others: Sequence[str] = (),
    *,
    force: bool = False,
    **several: Any,
) -> list[Path]:
    """Bundles from a tar of the released resources.

    Only ``models/*.statedict`` and ``resources/*.npy`` are taken out, as plain files under their
    own names: neither links nor the paths of the archive are followed, and the genome that it also
    holds costs nothing. Their sizes are checked before they are written.

    Parameters
    ----------
    names : models that must be complete; default: every complete one.
    others : models that are imported too where they are complete and not there yet.
    several : ``cell_types`` and ``expected`` of
        :func:`~orca_cool.model.import_orca.import_released`.

    Raises
    ------
    FetchError
        If the archive is damaged, larger than any that was released, or the disk full.
    BundleError
        If the archive lacks files of a model.
    """
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        return _import_archive(file, out, names, others, force, several)
    except OrcaCoolError:
        # nothing is left of an archive that is refused
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _import_archive(
    file: Path,
    out: Path,
    names: Sequence[str] | None,
    others: Sequence[str],
    force: bool,
    several: Mapping[str, Any],
) -> list[Path]:
    from orca_cool.model.import_orca import ACCESSIONS, import_released  # with torch

    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".released.", suffix=PARTIAL, dir=out) as temporary:
            folder = Path(temporary)
            unpack(file, folder)
            paths = import_released(folder, out, names, force=force, **several)
            for other in others:
                if other in ACCESSIONS and not is_bundle(out / other):
                    try:
                        paths += import_released(folder, out, [other])
                    except OrcaCoolError as error:
                        log.warning("model %s was not imported: %s", other, error)
    except (tarfile.TarError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise FetchError(f"{file} is not a sound tar archive: {tar_problem(error)}") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_error(out, error) from error
        raise FetchError(f"{file} could not be unpacked: {error}") from error
    return paths


def unpack(file: Path, folder: Path) -> None:
    """Take the files of the released models out of a tar, under their own names."""
    suffixes = {"models": ".statedict", "resources": ".npy"}
    total = 0
    with tarfile.open(file, "r:*") as archive:
        for number, member in enumerate(archive, 1):
            if number > MAX_ENTRIES:
                raise FetchError(f"{file} has more than {MAX_ENTRIES:,} entries: it is no release")
            parts = member.name.split("/")
            kind = parts[-2] if len(parts) > 1 else ""
            if (
                not member.isfile()
                or kind not in suffixes
                or not parts[-1].endswith(suffixes[kind])
            ):
                continue
            total += member.size
            if member.size > MAX_FILE or total > MAX_TOTAL:
                limit = MAX_FILE if member.size > MAX_FILE else MAX_TOTAL
                raise FetchError(
                    f"{file} is no release: with {member.name!r} of {member.size:,} bytes it "
                    f"exceeds {limit:,} bytes"
                )
            check_space(folder, member.size)
            (folder / kind).mkdir(exist_ok=True)
            source = archive.extractfile(member)
            assert source is not None
            with source, open(folder / kind / parts[-1], "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
