"""Answers about what a view shows: its numbers as a file, how well two maps agree, and what can be
asked of a place.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path

from flask import Response, request, send_file

from higlass_plugin.registry.scores import scores
from higlass_plugin.registry.seen import MAX_REGIONS, Seen, compared, seen
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.registry.why import questions
from higlass_plugin.server import downloads
from higlass_plugin.server.citations import citations
from higlass_plugin.server.http import (
    RequestError,
    client,
    json_body,
    json_response,
    number_argument,
    require_object,
    text_field,
)
from higlass_plugin.server.places import Places
from higlass_plugin.tilesets.base import ModelTileset
from orca_cool.genome.regions import parse_region
from orca_cool.genome.source import codes_to_letters

#: Seconds that a request waits for tiles that are not computed yet.
WAIT = 5.0
#: Letters of sequence that a request gets.
MAX_LETTERS = 10_000
#: Texts of variants that a request gets the scores of.
MAX_SCORED = 32
#: Requests of one address that are answered at once.
MAX_AT_ONCE = 4


class Analysis:
    """The functions that answer; routes are in :func:`higlass_plugin.server.app.create_blueprint`.

    Parameters
    ----------
    registry : the tilesets.
    """

    def __init__(self, registry: TilesetRegistry):
        self.registry = registry
        self.places = Places(MAX_AT_ONCE)

    def download(self) -> Response:
        """``?d=UID&region=chrII:200,000-300,000&resolution=2000&format=npz``: the values of a
        tileset as a file (:mod:`higlass_plugin.server.downloads`). ``rows`` is the region along y
        where that is another one, ``value`` one of the tileset's kinds of value. 503 while tiles of
        it are being computed: ask again.
        """
        with self._place(), tempfile.TemporaryDirectory() as folder:
            given = (request.args.get(name, "") for name in ("region", "rows", "value"))
            found = self._seen("d", *given)
            path = downloads.write(found, request.args.get("format", "npz"), Path(folder))
            data = io.BytesIO(path.read_bytes())
        return send_file(
            data,
            mimetype="text/plain" if path.suffix == ".tsv" else "application/octet-stream",
            as_attachment=True,
            download_name=path.name,
        )

    def compare(self) -> Response:
        """``?a=UID&b=UID&region=REGION&resolution=BP``: Pearson's r and HiCRep's SCC of two maps
        (:func:`higlass_plugin.registry.seen.compared`), with ``d=UID`` in the place of both those
        of a prediction against a measured map. ``region`` may be repeated, for each chromosome that
        is seen, and so may ``rows``, the same along y where that is another place.
        """
        regions, rows = request.args.getlist("region"), request.args.getlist("rows")
        if not 0 < len(regions) <= MAX_REGIONS or len(rows) not in (0, len(regions)):
            raise RequestError(
                f"there are {len(regions)} regions and {len(rows)} rows; 1 to {MAX_REGIONS} "
                f"regions are compared, with rows for all of them or for none"
            )
        both = [("a", ""), ("b", "")]
        if "d" in request.args:
            both = [("d", "predicted-logoe"), ("d", "measured-logoe")]
        with self._place():
            one, other = (
                [
                    self._seen(name, region, along, transform)
                    for region, along in zip_longest(regions, rows, fillvalue="")
                ]
                for name, transform in both
            )
            return json_response(compared(list(zip(one, other))))

    def scores(self) -> Response:
        """``POST {vcf: [LINE, ...], model, genome, cell_type}``: the scores of variants, which are
        computed meanwhile (:func:`higlass_plugin.registry.scores.scores`). Ask again for those
        that are being computed; what nobody asks for any more is dropped after a minute.
        """
        body = require_object(json_body())
        texts = body.get("vcf")
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise RequestError("'vcf' is not a list of texts")
        if len(texts) > MAX_SCORED:
            raise RequestError(
                f"'vcf' has {len(texts):,} texts; {MAX_SCORED} are scored for one request"
            )
        names = {key: text_field(body, key) for key in ("model", "genome", "cell_type")}
        with self._place():
            return json_response(scores(self.registry, texts, client(), **names))

    def cite(self) -> Response:
        """``?model=NAME&genome=NAME&cell_type=NAME``: what to cite
        (:func:`higlass_plugin.server.citations.citations`).
        """
        names = (request.args.get(name) for name in ("model", "genome", "cell_type"))
        return json_response(citations(self.registry, *names))

    def questions(self) -> Response:
        """``?d=UID&first=chrII:238,265&second=chrII:302,000&resolution=BP``: what can be asked of a
        pixel (:func:`higlass_plugin.registry.why.questions`).
        """
        uid, first, second = (request.args.get(name, "") for name in ("d", "first", "second"))
        resolution = number_argument("resolution", 0)
        with self._place():
            return json_response(questions(self.registry, uid, first, second, resolution))

    def sequence(self) -> Response:
        """``?d=UID&region=chrII:238,208-238,325``: the letters of a region of the genome that a
        predicted tileset is of, edited or not: ``{region, letters}``.
        """
        tileset = self.registry[request.args.get("d", "")]
        if not isinstance(tileset, ModelTileset):
            raise RequestError(f"{tileset.name!r} is not predicted from a sequence")
        own = tileset.coord_system == tileset.predicted.assembly
        predicted = tileset.predicted if own else tileset.predicted.base
        region = parse_region(request.args.get("region", ""), predicted.axis.chromsizes)
        if len(region) > MAX_LETTERS:
            raise RequestError(
                f"{region} has {len(region):,} bp; letters of at most {MAX_LETTERS:,} bp are given"
            )
        codes = predicted.engine.source.fetch(region.chrom, region.start, region.end)
        letters = codes_to_letters(codes).decode("ascii")
        return json_response({"region": str(region), "letters": letters})

    def _seen(self, name: str, region: str, rows: str, transform: str) -> Seen:
        return seen(
            self.registry,
            request.args.get(name, ""),
            region,
            number_argument("resolution", 0),
            wait=WAIT,
            client=client(),
            rows=rows,
            transform=transform,
        )

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the places of an address; RequestError if all are taken."""
        with self.places.take(client()[0]) as free:
            if not free:
                raise RequestError(
                    f"{MAX_AT_ONCE} such requests of this address are being answered; try again",
                    429,
                )
            yield
