"""Downloads that can be interrupted and go on: HTTP Range, a checksum, an atomic rename.

Only http, https and file addresses are fetched; a redirect may not leave http(s), nor go from https
to http, and there are at most five. A download that is not complete is kept as ``<file>.part``,
with a note of its origin beside it in ``<file>.part.json``.
"""

from __future__ import annotations

import errno
import http.client
import json
import logging
import os
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from orca_cool import __version__
from orca_cool.errors import FetchError
from orca_cool.files import replace_file, sha256

log = logging.getLogger(__name__)

CHUNK = 1 << 18
ATTEMPTS = 5
TIMEOUT = 60  # seconds without a byte

#: Called with (bytes present, total bytes or None).
Progress = Callable[[int, int | None], None]


class _Broken(Exception):
    """The transfer stopped for a reason that another attempt may cure."""


#: What another attempt may cure; other errors of the system are the disk's.
CURABLE = (_Broken, urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


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
                transfer = _copy_file if scheme == "file" else _transfer
                transfer(url, part, progress)
                break
            except CURABLE as error:
                reason = _reason(url, error)
                if attempt + 1 == attempts:
                    kept = part.stat().st_size if part.exists() else 0
                    raise FetchError(
                        f"{url}: {reason}; {kept} bytes are kept in {part}, the same command "
                        f"goes on from there"
                    ) from error
                log.info("%s: %s; trying again", url, reason)
                time.sleep(pause * 2**attempt)
        found = _verified(url, part, digest)
        replace_file(part, target)
        _note(part).unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(target, error) from error
    return found


def _verified(url: str, part: Path, digest: str | None) -> str:
    """SHA-256 of a download; one that is not the expected is deleted, and an error."""
    found = sha256(part)
    if digest is not None and found != digest.lower():
        part.unlink()
        _note(part).unlink(missing_ok=True)
        raise FetchError(
            f"{url}: SHA-256 of the download is {found}, expected {digest.lower()}; it was "
            f"thrown away"
        )
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


def disk_error(target: Path, error: OSError) -> FetchError:
    """The error for a file that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FetchError(
            f"no space left for {target}: free some and repeat the command, it goes on from "
            f"where it was"
        )
    return FetchError(f"{target} could not be written: {error}")


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _transfer(url: str, part: Path, progress: Progress | None) -> None:
    """One attempt to download. It goes on with ``part`` if the server still has the same file and
    can send the rest of it.
    """
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
        check_space(part, None if total is None else total - have)
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


def check_space(part: Path, need: int | None) -> None:
    """OSError if the disk of ``part`` has not ``need`` bytes left (None: not known)."""
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
        check_space(part, path.stat().st_size)
        _pour(source, file, 0, path.stat().st_size, progress)
