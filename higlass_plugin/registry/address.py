"""``orca://`` URLs, which name a predicted tileset: a model, a genome, edits, and what is shown."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from orca_cool.errors import OrcaCoolError
from orca_cool.perturb.objective_text import parse_objective

#: What a URL's ``track`` may be.
TRACKS = ("map", "insulation", "compartments", "profile", "attribution", "file")
#: Limits of an edited genome: characters of all its edits together, number of changes, and length
#: as a multiple of the reference's.
MAX_TEXT, MAX_CHANGES, MAX_GROWTH = 200_000, 1000, 2
#: Characters of the text of an objective at most.
MAX_OBJECTIVE = 500


class UrlError(OrcaCoolError):
    """An ``orca://`` URL is malformed, or names something that is not served."""


@dataclass(frozen=True)
class Address:
    """The parts of an ``orca://MODEL/GENOME?...`` URL; ``str(address)`` is the URL.

    Attributes
    ----------
    model, genome : their names on the server.
    edits : texts in the grammar of edits; none for the reference.
    vcf : lines of VCF whose variants are made too; "" for none.
    track : one of TRACKS. profile : name of the chromatin profile, if the track is "profile".
    lifted : show the map of the edited genome at the coordinates of the reference.
    difference : show ln(alternate / reference), or of a score alternate less reference, at the
        coordinates of the reference.
    cell_type : whose maps, of a model of several cell types; "" of a model of one.
    objective : whose attribution it is, if the track is "attribution". resolution : level at which
        the objective is read; "" for the finest that holds it.
    file : uid of a served file whose intervals are shown on the edited genome, if the track is
        "file".
    """

    model: str
    genome: str
    edits: tuple[str, ...] = ()
    vcf: str = ""
    track: str = "map"
    profile: str = ""
    lifted: bool = False
    difference: bool = False
    cell_type: str = ""
    objective: str = ""
    resolution: str = ""
    file: str = ""

    def __str__(self) -> str:
        query = []
        if self.cell_type:
            query.append(("cell_type", self.cell_type))
        if self.track != "map":
            query.append(("track", self.track))
        if self.profile:
            query.append(("profile", self.profile))
        if self.objective:
            query.append(("objective", self.objective))
        if self.resolution:
            query.append(("resolution", self.resolution))
        if self.file:
            query.append(("file", self.file))
        if self.lifted:
            query.append(("lift", "reference"))
        if self.difference:
            query.append(("value", "difference"))
        where = "/".join(quote(name, safe="") for name in (self.model, self.genome))
        texts = [_quoted(self.edits, self.vcf), urlencode(query, quote_via=quote)]
        asked = "&".join(filter(None, texts))
        return f"orca://{where}" + (f"?{asked}" if asked else "")

    @property
    def sequence(self) -> Address:
        """The address of the map in its own coordinates, which all tracks of one sequence share."""
        return Address(self.model, self.genome, self.edits, self.vcf, cell_type=self.cell_type)

    @property
    def edited(self) -> bool:
        """Whether there is an edit."""
        return bool(self.edits or self.vcf)


@lru_cache(maxsize=8)  # a dozen addresses are made of the same edits, which may be long
def _quoted(edits: tuple[str, ...], vcf: str) -> str:
    """The part of an address that tells the edits."""
    query = [("edit", edit) for edit in edits] + [("vcf", vcf)] * bool(vcf)
    return urlencode(query, quote_via=quote)


def name_of(name_or_path: str | os.PathLike[str]) -> str:
    """A name as it is, a path object as an absolute path: it cannot be meant as a name."""
    return name_or_path if isinstance(name_or_path, str) else str(Path(name_or_path).absolute())


def tidy(edits: Iterable[str]) -> tuple[str, ...]:
    """Texts of edits with single spaces, without empty texts: equal edits have equal addresses."""
    return tuple(" ".join(edit.split()) for edit in edits if edit.strip())


def address_of(
    model: str | os.PathLike[str],
    genome: str | os.PathLike[str],
    edit: str | Iterable[str] | None,
    vcf: str | None,
    **fields: Any,
) -> Address:
    """The address of a model on a genome with edits, as functions are given them; ``fields`` are
    further ones of :class:`Address`.
    """
    edits = tidy([edit] if isinstance(edit, str) else edit or [])
    return Address(name_of(model), name_of(genome), edits, (vcf or "").strip("\n"), **fields)


def parse_url(url: str) -> Address:
    """Parse an ``orca://`` URL; UrlError says what is wrong with it."""
    if len(url) > 4 * MAX_TEXT:
        raise UrlError(f"the URL has {len(url):,} characters; at most {4 * MAX_TEXT:,} are read")
    shown = url if len(url) <= 200 else f"{url[:200]}..."
    try:
        parts = urlsplit(url)
        query = parse_qsl(
            parts.query,
            keep_blank_values=True,
            strict_parsing=bool(parts.query),
            max_num_fields=200,
        )
    except ValueError as error:
        raise UrlError(f"the URL {shown!r} is not understood: {error}") from error
    names = [unquote(parts.netloc), unquote(parts.path).removeprefix("/")]
    if parts.scheme != "orca" or not all(names) or parts.fragment:
        raise UrlError(f"the URL {shown!r} is not orca://MODEL/GENOME?edit=...")
    address = Address(names[0], names[1])
    for key, value in query:
        found = _with(address, key, value)
        if found is None:
            known = (
                f"edit, vcf, cell_type, track ({', '.join(TRACKS)}), profile, objective, "
                f"resolution, file, lift=reference, value=difference"
            )
            raise UrlError(f"the URL {shown!r} says {key[:100]}={value[:100]!r}; it takes {known}")
        address = found
    _check(address, shown)
    return address


def _with(address: Address, key: str, value: str) -> Address | None:
    """An address with one field of a URL's query; None if there is no such field."""
    if key == "edit":
        return replace(address, edits=(*address.edits, " ".join(value.split())))
    if key in ("vcf", "profile", "cell_type", "file"):
        field: dict[str, Any] = {key: value}
        return replace(address, **field)
    if key == "objective":
        return replace(address, objective=_objective(value))
    if key == "resolution":
        return replace(address, resolution=value.strip()[:100])
    if key in ("lift", "frame") and value == "reference":  # "frame" in version 0.1
        return replace(address, lifted=True)
    if (key, value) == ("value", "difference"):
        return replace(address, difference=True, lifted=True)
    if key == "track" and value in TRACKS:
        return replace(address, track=value)
    return None


def _check(address: Address, shown: str) -> None:
    """UrlError, which quotes the URL as it is ``shown``, if its fields do not go together."""
    scores = ("insulation", "compartments") if address.difference else ()
    if address.lifted and (not address.edited or address.track not in ("map", *scores)):
        raise UrlError(
            f"the URL {shown!r}: lift and value are of the map of an edited genome, value also of "
            f"its insulation and compartments"
        )
    if (address.track == "file") != bool(address.file) or (address.file and not address.edited):
        raise UrlError(
            f"the URL {shown!r}: track=file and file=UID go together, for an edited genome"
        )
    if (address.track == "profile") != bool(address.profile):
        raise UrlError(f"the URL {shown!r}: track=profile and profile=NAME go together")
    if (address.track == "attribution") != bool(address.objective):
        raise UrlError(f"the URL {shown!r}: track=attribution and objective=TEXT go together")
    if address.resolution and not address.objective:
        raise UrlError(f"the URL {shown!r}: resolution is that of an objective")


def _objective(text: str) -> str:
    """The text of an objective with single spaces; UrlError if it is none."""
    if len(text) > MAX_OBJECTIVE:
        raise UrlError(
            f"objective {text[:50]!r}... has {len(text):,} characters; at most {MAX_OBJECTIVE} are "
            f"read"
        )
    try:
        return parse_objective(text).text
    except OrcaCoolError as error:
        raise UrlError(str(error)) from None


#: How URLs begin that divide one contact map by another, and that compare a prediction with a
#: measured map.
DIVIDED, COMPARED = PAIRS = ("divided://", "compared://")


def divided_url(numerator: str, denominator: str) -> str:
    """The URL of one contact map divided by another; each is a uid or an ``orca://`` URL."""
    return DIVIDED + "/".join(quote(text, safe="") for text in (numerator, denominator))


def compared_url(predicted: str, measured: str) -> str:
    """The URL of a prediction against log observed/expected of a measured map; each is a uid or an
    ``orca://`` URL.
    """
    return COMPARED + "/".join(quote(text, safe="") for text in (predicted, measured))


def parse_pair(url: str) -> tuple[str, str]:
    """The two uids or ``orca://`` URLs of a ``divided://`` or ``compared://`` URL; UrlError if
    there are not two.
    """
    kind = COMPARED if url.startswith(COMPARED) else DIVIDED
    names = [unquote(text) for text in url.removeprefix(kind).split("/")]
    if len(names) != 2 or not all(names):
        shown = url if len(url) <= 200 else f"{url[:200]}..."
        of = "PREDICTED/MEASURED" if kind == COMPARED else "NUMERATOR/DENOMINATOR"
        raise UrlError(
            f"the URL {shown!r} is not {kind}{of}, each a uid or an orca:// URL with its special "
            f"characters quoted"
        )
    return names[0], names[1]


def is_edited(url: str) -> bool:
    """Whether a URL asks for an edited genome; UrlError if it is malformed."""
    if url.startswith(PAIRS):
        parts = parse_pair(url)
        return any(parse_url(part).edited for part in parts if part.startswith("orca://"))
    return parse_url(url).edited
