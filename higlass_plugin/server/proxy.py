"""What a proxy on this machine tells of the address that a page was asked for under."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PREFIX = re.compile(r"(/[A-Za-z0-9_.~-]+)*")


class BehindProxy:
    """Takes ``X-Forwarded-Prefix`` and ``X-Forwarded-Proto`` from proxies on this machine, so that
    the addresses that the server tells are right behind it.

    Web pages cannot send these headers to a server that does not allow them.
    """

    def __init__(self, app: WSGIApplication):
        self.app = app
        self.fixed = ProxyFix(app, x_for=0, x_proto=1, x_host=0, x_port=0, x_prefix=1)

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        prefix = environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/")
        proto = environ.get("HTTP_X_FORWARDED_PROTO", "http")
        local = environ.get("REMOTE_ADDR") in ("127.0.0.1", "::1")
        if not local or not _PREFIX.fullmatch(prefix) or proto not in ("http", "https"):
            return self.app(environ, start)
        environ["HTTP_X_FORWARDED_PREFIX"] = prefix
        return self.fixed(environ, start)
