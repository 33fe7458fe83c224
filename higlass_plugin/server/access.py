"""Who may do what: names of the host, origins of pages, tokens."""

from __future__ import annotations

import hmac
import re

from flask import request

#: Names under which a server on the loopback interface is reached.
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def given_tokens() -> list[str]:
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    return [value.strip() if kind.lower() == "bearer" else "", request.args.get("token", "")]


def same_token(given: str | None, token: str) -> bool:
    return given is not None and hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), token.encode()
    )


def hostname_of(host: str) -> str:
    """Without port and brackets, in lower case."""
    return (
        (
            host.rpartition(":")[0]
            if re.search(r":[0-9]*$", host) and not host.endswith("]")
            else host
        )
        .strip("[]")
        .lower()
    )
