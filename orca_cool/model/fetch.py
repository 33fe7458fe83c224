"""Downloads that can be interrupted: resume by HTTP Range, checksum, atomic rename; and what
becomes of them.

Only http, https and file addresses; a redirect may not leave http(s), nor go from https to http,
and there are at most five. A partial download is kept as ``<file>.part`` with a note of its origin
beside it.
"""

from __future__ import annotations

import errno
import http.client
import json
import logging
import lzma
import os
import shutil
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from orca_cool import __version__
from orca_cool.errors import FetchError, OrcaCoolError, OutputError
from orca_cool.files import replace_file, sha256
from orca_cool.model.header import is_bundle
from orca_cool.model.import_orca import ACCESSIONS, import_released
from orca_cool.model.registry import Archive, import_bundle

log = logging.getLogger(__name__)

CHUNK = 1 << 18
ATTEMPTS = 5
TIMEOUT = 60  # seconds without a byte

#: Called with (bytes present, total bytes or None).
Progress = Callable[[int, int | None], None]


class _Broken(Exception):
    """The transfer stopped for a reason that another attempt may cure."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 5
    max_repeats = 2

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme not in ("http", "https") or (scheme == "http" and req.type == "https"):
            raise FetchError(
                f"{req.full_url} redirects to {newurl!r}, which is refused: only https, or http "
                f"from http"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """An opener for http and https alone (the default one also speaks ftp, file and data)."""
    opener = urllib.request.OpenerDirector()
    handlers = [
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        _Redirects,
    ]
    for handler in [
        *handlers,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
    ]:
        opener.add_handler(handler())
    return opener


def download(
    url: str,
    target: str | os.PathLike[str],
    digest: str | None = None,
    *,
    progress: Progress | None = None,
    attempts: int = ATTEMPTS,
    pause: float = 1.0,
) -> str:
    """Download ``url`` to ``target``, which appears whole and verified or not at all.

    Parameters
    ----------
    digest : expected SHA-256 in hexadecimal; None: not compared.
    attempts : how often a broken transfer is taken up again, each time from where it stopped.
    pause : seconds before the second attempt, doubled for each further one.

    Returns
    -------
    SHA-256 of the file.

    Raises
    ------
    FetchError
        If the address is refused or answers with an error, the transfer keeps breaking, the disk is
        full, or the checksum is another. A partial file is kept for the next call, except after a
        wrong checksum.
    """
    target = Path(target)
    scheme = urllib.parse.urlsplit(url).scheme
    if scheme not in ("http", "https", "file"):
        raise FetchError(f"address {url!r}: only http, https and file addresses are fetched")
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(attempts):
            try:
                _copy_file(url, part, progress) if scheme == "file" else _transfer(
                    url, part, progress
                )
                break
            except (
                _Broken,
                urllib.error.URLError,
                http.client.HTTPException,
                ConnectionError,
                TimeoutError,
            ) as error:
                reason = _reason(url, error)
                if attempt + 1 == attempts:
                    kept = part.stat().st_size if part.exists() else 0
                    raise FetchError(
                        f"{url}: {reason}; {kept} bytes are kept in {part}, the same command "
                        f"goes on from there"
                    ) from error
                log.info("%s: %s; trying again", url, reason)
                time.sleep(pause * 2**attempt)
        found = sha256(part)
        if digest is not None and found != digest.lower():
            part.unlink()
            _note(part).unlink(missing_ok=True)
            raise FetchError(
                f"{url}: SHA-256 of the download is {found}, expected {digest.lower()}; it was "
                f"thrown away"
            )
        replace_file(part, target)
        _note(part).unlink(missing_ok=True)
    except OSError as error:
        raise _disk_error(target, error) from error
    return found


def _reason(url: str, error: Exception) -> str:
    """Why a transfer broke; raises FetchError if another attempt cannot help."""
    if isinstance(error, urllib.error.HTTPError):
        if error.code < 500 and error.code not in (408, 429):
            raise FetchError(f"{url}: the server answers {error.code} {error.reason}") from error
        return f"the server answers {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return f"no connection: {error.reason}"
    return str(error) or type(error).__name__


def _disk_error(target: Path, error: OSError) -> FetchError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FetchError(
            f"no space left for {target}: free some and repeat the command, it goes on from "
            f"where it was"
        )
    return FetchError(f"{target} could not be written: {error}")


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _transfer(url: str, part: Path, progress: Progress | None) -> None:
    """One attempt; goes on with ``part`` if the server still has the same file and can."""
    note = _read_note(part)
    have = (
        part.stat().st_size
        if part.exists() and note.get("url") == url and note.get("validator")
        else 0
    )
    headers = {"User-Agent": f"orca-cool/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": note["validator"]}
    try:
        response = _opener().open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        # The part is as long as the file, or longer than a file that has changed.
        if (
            have
            and error.headers.get("Content-Range") == f"bytes */{have}"
            and note.get("total") == have
        ):
            return
        part.unlink(missing_ok=True)
        raise _Broken("the server cannot go on from the partial file, starting anew") from error
    with response:
        resumed = have > 0 and response.status == 206
        if resumed and not (response.headers.get("Content-Range") or "").startswith(
            f"bytes {have}-"
        ):
            part.unlink()
            raise _Broken(
                f"the server answers with range {response.headers.get('Content-Range')!r}, "
                f"starting anew"
            )
        have = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length and length.isdigit() else None
        etag = response.headers.get("ETag")
        # A weak ETag does not promise the same bytes, so it may not be used to resume.
        validator = (
            etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
        )
        _note(part).write_text(json.dumps({"url": url, "validator": validator, "total": total}))
        _check_space(part, None if total is None else total - have)
        with open(part, "ab" if resumed else "wb") as file:
            have = _pour(response, file, have, total, progress)
    if total is not None and have != total:
        raise _Broken(f"the connection ended after {have} of {total} bytes")


def _read_note(part: Path) -> dict[str, Any]:
    try:
        note = json.loads(_note(part).read_text())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _pour(
    source: Any, file: IO[bytes], have: int, total: int | None, progress: Progress | None
) -> int:
    while True:
        try:
            block = source.read(CHUNK)
        except (
            OSError
        ) as error:  # of the connection: told from a full disk, which no further attempt cures
            raise _Broken(f"the connection broke after {have} bytes: {error}") from error
        if not block:
            return have
        file.write(block)
        have += len(block)
        if progress is not None:
            progress(have, total)


def _check_space(part: Path, need: int | None) -> None:
    if need is not None and shutil.disk_usage(part.parent).free < need:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _copy_file(url: str, part: Path, progress: Progress | None) -> None:
    parsed = urllib.parse.urlsplit(url)
    if parsed.netloc not in ("", "localhost"):
        raise FetchError(
            f"address {url!r}: a file address names a file of this machine (file:///...)"
        )
    path = Path(urllib.request.url2pathname(parsed.path))
    if not path.is_file():
        raise FetchError(f"{url}: no such file")
    with open(path, "rb") as source, open(part, "wb") as file:
        _check_space(part, path.stat().st_size)
        _pour(source, file, 0, path.stat().st_size, progress)


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
    if (out / name).exists() and not force:
        raise OutputError(f"{out / name} exists; --force replaces it")
    failures: list[FetchError] = []
    for url in archive.urls:
        file = out.parent / "downloads" / (Path(urllib.parse.urlsplit(url).path).name or "download")
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


def import_archive(
    file: Path,
    out: Path,
    names: Sequence[str] | None = None,
    others: Sequence[str] = (),
    *,
    force: bool = False,
) -> list[Path]:
    """Bundles from a tar of the released resources.

    Only ``models/*.statedict`` and ``resources/*.npy`` are taken out, as plain files under their
    own names: neither links nor the paths of the archive are followed, and the genome that it also
    holds costs nothing.

    Parameters
    ----------
    names : models that must be complete; default: every complete one.
    others : models that are imported too where they are complete and not there yet.

    Raises
    ------
    FetchError
        If the archive is damaged or the disk full.
    BundleError
        If the archive lacks files of a model.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=".released.", suffix=".partial", dir=out
        ) as temporary:
            folder = Path(temporary)
            _unpack(file, folder)
            paths = import_released(folder, out, names, force=force)
            for other in others:
                if other in ACCESSIONS and not is_bundle(out / other):
                    try:
                        paths += import_released(folder, out, [other])
                    except OrcaCoolError as error:
                        log.warning("model %s was not imported: %s", other, error)
    except (tarfile.TarError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise FetchError(f"{file} is not a sound tar archive: {error}") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_error(out, error) from error
        raise FetchError(f"{file} could not be unpacked: {error}") from error
    return paths


def _unpack(file: Path, folder: Path) -> None:
    suffixes = {"models": ".statedict", "resources": ".npy"}
    with tarfile.open(file, "r:*") as archive:
        for member in archive:
            parts = member.name.split("/")
            kind = parts[-2] if len(parts) > 1 else ""
            if (
                not member.isfile()
                or kind not in suffixes
                or not parts[-1].endswith(suffixes[kind])
            ):
                continue
            _check_space(folder, member.size)
            (folder / kind).mkdir(exist_ok=True)
            source = archive.extractfile(member)
            assert source is not None
            with source, open(folder / kind / parts[-1], "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
