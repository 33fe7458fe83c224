"""Who may do what: names of the host, origins of pages, tokens."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Collection

from flask import Response, g, request

from higlass_plugin.server.http import (
    MAX_QUERY,
    RequestError,
    empty_response,
    endpoint_name,
    mount_prefix,
)
from higlass_plugin.tiles import MAX_TEXT

#: Names under which a server on the loopback interface is reached.
LOOPBACK = ("localhost", "127.0.0.1", "::1")

#: Endpoints that anybody may use, with or without a token: they tell nothing about the tilesets.
PUBLIC = frozenset({"page", "static", "healthz"})
#: Endpoints that the pages of any origin may use: whoever knows a uid may read its tiles.
ANY_ORIGIN = frozenset({"tiles", "tileset_info", "chrom_sizes", "suggest", "register_url"})


class Access:
    """Decides which requests are answered.

    Without a token:

    * The server answers only to the names in ``hosts``, so that no web page can reach it under a
      name of its own.
    * uids cannot be guessed, so pages of any origin may read the tiles of a uid that they know:
      that is how a tileset is shown in another HiGlass. ``register_url`` reaches predictions only,
      never a file, and those of the reference only.
    * What tells or changes more (the list of tilesets, the first view, edits, saved views, the
      status) is for pages of this machine, for programs, and for the origins that are allowed.
    * What pages of allowed origins make has room of its own: it takes the place of nothing else.

    With a token, whoever shows it may do everything, and nobody else may do anything, except for
    reading the chromosome sizes of a uid: the front end fetches those without the header that it
    sends otherwise.

    Parameters
    ----------
    token : see above; None for none.
    allow_origins : origins whose pages may do what this server's own page may; "*" for all.
    hosts : names under which the server may be addressed; None for any.
    max_body : bytes that the body of a request may have.

    Attributes
    ----------
    cookie : name of the cookie that holds the token. It depends on the token, because cookies do
        not know ports: two servers on one machine must not overwrite each other's.
    """

    def __init__(
        self,
        token: str | None,
        allow_origins: Collection[str],
        hosts: Collection[str] | None,
        max_body: int,
    ):
        self.token, self.max_body = token, max_body
        self.cookie = f"orca_cool_{hashlib.sha256((token or '').encode()).hexdigest()[:12]}"
        self._allow_origins = frozenset(origin.rstrip("/") for origin in allow_origins)
        # with a token the name does not matter
        self._hosts = None if hosts is None or token is not None else {h.lower() for h in hosts}

    def admit(self) -> Response | None:
        """Check the request before it is answered.

        Returns
        -------
        None if the request is to be answered; the answer to an OPTIONS request.

        Raises
        ------
        RequestError
            If the request is too large, or may not do what it asks for.
        """
        g.began = time.thread_time()
        request.max_content_length = self.max_body
        self._check_host_and_size()
        if request.method == "OPTIONS":
            return empty_response(204)
        endpoint = endpoint_name()
        if endpoint in PUBLIC:
            return None
        shown = self.token is not None and any(is_token(t, self.token) for t in _shown_tokens())
        if endpoint != "chrom_sizes" and not shown:
            self._check_cookie()
        if not shown:
            self._check_origin(endpoint)
        return None

    def is_own_origin(self, origin: str) -> bool:
        """Whether a page's origin is this server. The scheme is not compared, since a proxy in
        front of the server may speak https.
        """
        return origin.partition("://")[2] == request.host

    def is_guest(self) -> bool:
        """Whether the request comes from a page of another origin that does not show the token."""
        origin = request.headers.get("Origin")
        if origin is None or self.is_own_origin(origin) or self._is_this_machine(origin):
            return False
        return self.token is None or not any(is_token(t, self.token) for t in _shown_tokens())

    def is_other_page(self) -> bool:
        """Whether the request comes from a page that is not our own, which does not ask again for
        tiles that were not ready.

        Browsers tell the origin of a page of another one. A page of this origin may be another too
        (behind a proxy that serves several): it tells its address, as our own does not.
        """
        origin, referer = request.headers.get("Origin"), request.headers.get("Referer")
        if origin is not None and not self.is_own_origin(origin):
            return True
        own = f"{request.host}{mount_prefix()}/"
        return referer is not None and referer.partition("://")[2].partition("?")[0] != own

    def check_edits(self) -> None:
        """RequestError if the request comes from a page that may not make edits."""
        if self.is_guest():
            self._check_origin("edits")

    def _check_host_and_size(self) -> None:
        if self._hosts is not None and hostname_of(request.host) not in self._hosts:
            raise RequestError(
                f"this server is not called {request.host[:MAX_TEXT]!r}; use http://localhost, "
                f"or start it with --token",
                403,
            )
        if len(request.query_string) > MAX_QUERY:
            raise RequestError(
                f"the query has {len(request.query_string):,} characters; {MAX_QUERY:,} are allowed"
            )
        if (request.content_length or 0) > self.max_body:
            raise RequestError(
                f"the body has {request.content_length:,} bytes; {self.max_body:,} are allowed", 413
            )

    def _check_cookie(self) -> None:
        """RequestError if a token is needed and the cookie does not hold it."""
        if self.token is not None and not is_token(request.cookies.get(self.cookie), self.token):
            raise RequestError(
                "a token is needed: open the address that the server printed, or send "
                "`Authorization: Bearer TOKEN`",
                401,
            )

    def _check_origin(self, endpoint: str | None) -> None:
        """RequestError if the request comes from a page whose origin may not use the endpoint."""
        origin = request.headers.get("Origin")
        if origin is None or self.is_own_origin(origin) or self._is_this_machine(origin):
            return
        if self._allow_origins & {"*", origin} or endpoint in ANY_ORIGIN:
            return
        # a saved view, or that of an edit, is for whoever knows its id
        of_an_id = request.args.get("d", "default") != "default"
        if endpoint == "viewconfs" and request.method == "GET" and of_an_id:
            return
        raise RequestError(
            f"pages of {origin[:MAX_TEXT]!r} may not do this; start the server with "
            f"--allow-origin {origin[:MAX_TEXT]}",
            403,
        )

    def _is_this_machine(self, origin: str) -> bool:
        """Whether an origin is another server on this machine (a HiGlass, a notebook), which is
        trusted if there is no token.
        """
        return self.token is None and hostname_of(origin.partition("://")[2]) in LOOPBACK


def _shown_tokens() -> list[str]:
    """The tokens that the request shows in its header and in its query."""
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    return [value.strip() if kind.lower() == "bearer" else "", request.args.get("token", "")]


def is_token(given: str | None, token: str) -> bool:
    """Whether a text is the token; takes as long for any text of its length."""
    return given is not None and hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), token.encode()
    )


def hostname_of(host: str) -> str:
    """``host[:port]`` without the port, and without the brackets of IPv6, in lower case."""
    if re.search(r":[0-9]*$", host) and not host.endswith("]"):
        host = host.rpartition(":")[0]
    return host.strip("[]").lower()
