"""Read requests and write answers: JSON within limits, and every error as one line of JSON."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import NoReturn

from flask import Response, request
from werkzeug.exceptions import HTTPException

from higlass_plugin.compute.shares import Client
from higlass_plugin.tiles import (
    MAX_TEXT,
    JsonObject,
    TileError,
    UnknownTileset,
    failed_tile_of,
    parse_tile_id,
)
from orca_cool.errors import OrcaCoolError

logger = logging.getLogger(__name__)

#: Tiles that one request gets; the others of the request get an error. (The front end asks for 15
#: at most.) A request for more than REFUSED tiles is an error.
MAX_TILES, REFUSED = 64, 128
#: Characters that a query may have: 128 tile ids of the longest kind.
MAX_QUERY = 32_768


class RequestError(OrcaCoolError):
    """A request that cannot be answered, with the HTTP status that says so."""

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


def tiles_json(tiles: Mapping[str, object]) -> bytes:
    """Tiles as JSON, as ``json.dumps(tiles)`` writes them.

    The base64 text of dense tiles is inserted as it is, because nothing in it needs escaping and it
    is nearly all there is to write.
    """
    parts = []
    for key, tile in tiles.items():
        try:
            dense, rest = _split_dense(tile)
        except (TypeError, ValueError):
            logger.exception("tile %s is no JSON", key)
            dense, rest = (
                "",
                json.dumps(failed_tile_of(key, "the server could not write this tile")),
            )
        parts += [",", json.dumps(key), ":"]
        parts += [rest[:-1], ',"dense":"', dense, '"}'] if dense else [rest]
    return f"{{{''.join(parts[1:])}}}".encode()


def _split_dense(tile: object) -> tuple[str, str]:
    """The base64 text of a tile, "" if it has none, and the rest of the tile as JSON."""
    if isinstance(tile, dict) and (dense := tile.get("dense")):
        rest = {key: value for key, value in tile.items() if key != "dense"}
        return dense, json.dumps(rest, allow_nan=False)
    return "", json.dumps(tile, allow_nan=False)


def posted_tile_ids(body: object) -> list[str]:
    """The tile ids of a posted ``[{tilesetUid, tileIds}]``."""
    if not isinstance(body, list):
        raise RequestError("the body is not a list of {tilesetUid, tileIds}")
    ids = []
    for part in body:
        fields = part if isinstance(part, dict) else {}
        uid, tiles = fields.get("tilesetUid"), fields.get("tileIds")
        if (
            not isinstance(uid, str)
            or not isinstance(tiles, list)
            or not all(isinstance(tile, str) for tile in tiles)
        ):
            raise RequestError("the body is not a list of {tilesetUid, tileIds}")
        ids += [f"{uid}.{tile}" for tile in tiles]
    return ids


def refused_tile(text: str, message: str) -> JsonObject:
    """A tile with a message; if the id is malformed, with what is wrong with the id."""
    try:
        parse_tile_id(text)
    except TileError as error:
        message = str(error)
    return failed_tile_of(text, message)


def json_body() -> object:
    """The body of the request as JSON, whatever its content type is."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON")

    try:
        body = json.loads(request.get_data(), parse_constant=refuse)
        # half a character (\\ud800) is valid JSON, but cannot be written to a file
        json.dumps(body, ensure_ascii=False).encode()
        return body
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is no JSON: {str(error)[:MAX_TEXT]}") from None


def require_object(body: object) -> JsonObject:
    """The body as a JSON object; RequestError if it is something else."""
    if not isinstance(body, dict):
        raise RequestError("the body is no JSON object")
    return body


def text_field(body: JsonObject, key: str) -> str | None:
    """A field of the body that is a text or missing; RequestError if it is something else."""
    value = body.get(key)
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{key!r} is no text")
    return value


def number_argument(key: str, default: int) -> int:
    """A whole number of the query; RequestError if it is something else."""
    text = request.args.get(key, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise RequestError(f"{key} {text[:MAX_TEXT]!r} is no number")
    return int(text)


def json_response(value: object, status: int = 200) -> Response:
    """A value as JSON; ValueError if it holds a number that JSON cannot say (NaN, infinity)."""
    return Response(json.dumps(value, allow_nan=False), status, content_type="application/json")


def client() -> Client:
    """Who sends the request: its address, and the session that HiGlass tells (``s``).

    Behind a proxy on this machine the address is the one that the proxy tells.
    """
    address, told = request.remote_addr or "", request.headers.get("X-Forwarded-For", "")
    if told and address in ("127.0.0.1", "::1"):
        address = told.rpartition(",")[2].strip()
    return address[:MAX_TEXT], request.args.get("s", "")[:MAX_TEXT]


def empty_response(status: int) -> Response:
    """A status alone, without body and content type."""
    answer = Response(status=status)
    del answer.headers["Content-Type"]  # Flask sets the one of HTML
    return answer


def endpoint_name() -> str | None:
    """The name of the request's endpoint, without the blueprint's; None if no route matches."""
    return request.endpoint.rpartition(".")[2] if request.endpoint else None


def mount_prefix() -> str:
    """The path below which the app or the blueprint is mounted, "" for none."""
    rule = request.url_rule.rule if request.url_rule else ""
    marks = ("/api/v1/", "/static/", "/healthz", "/metrics", "/models")
    own = next((mark for mark in marks if mark in rule), "/")
    return request.script_root + rule[: rule.rindex(own)] if rule else request.script_root


def add_security_headers(response: Response) -> Response:
    """Headers that keep a browser from guessing content types, from telling other sites the
    address, and from running anything that is not the page's.
    """
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.setdefault(
        "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"
    )
    return response


def user_error(error: OrcaCoolError) -> Response:
    """The answer to an error that is written for users."""
    status = 404 if isinstance(error, UnknownTileset) else getattr(error, "status", 400)
    return json_response({"error": " ".join(str(error).split())}, status)


def http_error(error: HTTPException) -> Response:
    """The answer to an error of Flask, such as 404."""
    return json_response({"error": error.description or error.name}, error.code or 400)


def internal_error(error: Exception) -> Response:
    """The answer to any other error, which is logged: its text may hold details of the server."""
    logger.error("%s %r", request.method, request.path, exc_info=error)
    return json_response({"error": "internal error; the server's log says more"}, 500)
