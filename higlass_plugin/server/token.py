"""The token of a server: where it comes from, and how the browser gets it, unseen by others."""

from __future__ import annotations

import html
import ipaddress
import os
import re
import secrets
import tempfile
import threading
import webbrowser
from pathlib import Path

from orca_cool.errors import OrcaCoolError

#: The environment variable that may hold the token: only the user and root can read it.
VARIABLE = "ORCA_COOL_TOKEN"
#: Seconds for which the file that sends a browser to the page is kept.
KEPT = 60.0


class ServeError(OrcaCoolError):
    """An address or token that cannot be served with."""


def read_token(option: str | None, file: Path | None, host: str) -> str | None:
    """The token that is used; None for none.

    Parameters
    ----------
    option : None, or "auto", which makes one up.
    file : holds the token; None: the environment variable ORCA_COOL_TOKEN does, if it is set.
    host : address to listen on.

    Raises
    ------
    ServeError
        If a token is needed and there is none; if one is given as an option, or in two ways; if the
        file cannot be read, or the token has characters that cannot stand in an address.
    """
    if option not in (None, "auto"):
        raise ServeError(
            f"--token takes only `auto`, since other users of the machine see options; put a token "
            f"of your own into a file (--token-file) or into the variable {VARIABLE}"
        )
    if option is not None and file is not None:
        raise ServeError(f"--token auto and --token-file {str(file)!r} contradict each other")
    if option is not None:
        return secrets.token_urlsafe(24)
    token, where = os.environ.get(VARIABLE) or None, f"of {VARIABLE}"
    if file is not None:
        where = f"in {str(file)!r}"
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            raise ServeError(f"the token {where} cannot be read: {error}") from error
    if token is None and not _is_loopback(host):
        raise ServeError(
            f"host {host!r} can be reached by others; give --token auto (or a token of your own in "
            f"--token-file)"
        )
    if token is not None and not re.fullmatch(r"[A-Za-z0-9._~-]{8,200}", token):
        raise ServeError(
            f"the token {where} is not 8 to 200 letters, digits, '-', '.', '_' and '~'; `--token "
            f"auto` makes one up"
        )
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def open_browser(page: str, token: str | None) -> None:
    """Open a browser at an address.

    Other users see with what a browser is started: an address with a token stands in a file that
    only this user can read, which sends the browser there and is then removed.
    """
    if token is None:
        webbrowser.open(page)
        return
    handle, name = tempfile.mkstemp(prefix="orca-cool-", suffix=".html")  # with mode 600
    with open(handle, "w", encoding="utf-8") as file:
        file.write(
            f'<!DOCTYPE html><meta name="referrer" content="no-referrer">'
            f'<meta http-equiv="refresh" content="0;url={html.escape(page)}">'
        )
    remover = threading.Timer(KEPT, Path(name).unlink, kwargs={"missing_ok": True})
    remover.daemon = True
    remover.start()
    webbrowser.open(Path(name).as_uri())
