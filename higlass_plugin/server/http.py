"""Requests read and answers written: JSON bodies within limits, errors as one line of JSON."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from flask import Response, request
from werkzeug.exceptions import HTTPException

from higlass_plugin.registry.tilesets import UnknownTileset
from higlass_plugin.tiles import MAX_TEXT, TileError, failed_tile, parse_tile_id
from orca_cool.errors import OrcaCoolError

logger = logging.getLogger(__name__)

#: Tiles of a request that are read; the front end asks for 15 at most. Requests for more than
#: REFUSED are not answered at all.
MAX_TILES, REFUSED = 64, 128
#: Characters of a query: 128 of the longest tile ids.
MAX_QUERY = 32_768


class RequestError(OrcaCoolError):
    """A request that is not answered; ``status`` is HTTP's."""

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


def tiles_json(tiles: Mapping[str, Any]) -> bytes:
    """``json.dumps(tiles)``, but base64 is put in as it is: nothing in it needs a second look, and
    it is nearly all there is.
    """
    parts = []
    for key, tile in tiles.items():
        try:
            dense = tile.get("dense") if isinstance(tile, dict) else None
            rest = json.dumps(
                {k: v for k, v in tile.items() if k != "dense"} if dense else tile, allow_nan=False
            )
        except (TypeError, ValueError):
            logger.exception("tile %s is no JSON", key)
            tile = failed_tile_of(key, "the server could not write this tile")
            dense, rest = None, json.dumps(tile)
        parts += [
            ",",
            json.dumps(key),
            ":",
            *((rest[:-1], ',"dense":"', dense, '"}') if dense else (rest,)),
        ]
    return f"{{{''.join(parts[1:])}}}".encode()


def failed_tile_of(text: str, message: str) -> Any:
    """A tile with a message, of the dimensions that its id speaks of."""
    try:
        return failed_tile(message, len(parse_tile_id(text).position))
    except TileError as error:
        return failed_tile(str(error))


def posted_tile_ids(body: Any) -> list[str]:
    if not isinstance(body, list):
        raise RequestError("the body is not a list of {tilesetUid, tileIds}")
    ids = []
    for part in body:
        uid, tiles = (
            (part.get("tilesetUid"), part.get("tileIds"))
            if isinstance(part, dict)
            else (None, None)
        )
        if (
            not isinstance(uid, str)
            or not isinstance(tiles, list)
            or not all(isinstance(tile, str) for tile in tiles)
        ):
            raise RequestError("the body is not a list of {tilesetUid, tileIds}")
        ids += [f"{uid}.{tile}" for tile in tiles]
    return ids


def json_body() -> Any:
    """The request's JSON, whatever its content type says."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no JSON")

    try:
        body = json.loads(request.get_data(), parse_constant=refuse)
        json.dumps(
            body, ensure_ascii=False
        ).encode()  # half a character (\\ud800) is JSON, but can be written to no file
        return body
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is no JSON: {str(error)[:MAX_TEXT]}") from None


def require_object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise RequestError("the body is no JSON object")
    return body


def text_field(body: Mapping[str, Any], key: str) -> str | None:
    value = body.get(key)
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{key!r} is no text")
    return value


def number_argument(key: str, default: int) -> int:
    text = request.args.get(key, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise RequestError(f"{key} {text[:MAX_TEXT]!r} is no number")
    return int(text)


def json_response(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value, allow_nan=False), status, content_type="application/json")


def empty_response(status: int) -> Response:
    answer = Response(status=status)
    del answer.headers["Content-Type"]  # Flask's is HTML's
    return answer


def endpoint_name() -> str | None:
    """Name of the view, without the blueprint's."""
    return request.endpoint.rpartition(".")[2] if request.endpoint else None


def mount_prefix() -> str:
    """What the app or the blueprint is mounted below."""
    rule = request.url_rule.rule if request.url_rule else ""
    own = next(
        (mark for mark in ("/api/v1/", "/static/", "/healthz", "/metrics") if mark in rule), "/"
    )
    return request.script_root + rule[: rule.rindex(own)] if rule else request.script_root


def add_security_headers(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.setdefault(
        "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"
    )
    return response


def user_error(error: OrcaCoolError) -> Response:
    status = 404 if isinstance(error, UnknownTileset) else getattr(error, "status", 400)
    return json_response({"error": " ".join(str(error).split())}, status)


def http_error(error: HTTPException) -> Response:
    return json_response({"error": error.description or error.name}, error.code or 400)


def internal_error(error: Exception) -> Response:
    logger.error("%s %r", request.method, request.path, exc_info=error)
    return json_response({"error": "internal error; the server's log says more"}, 500)
