"""``orca://`` URLs: what they say of a predicted tileset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from orca_cool.errors import OrcaCoolError

#: What a URL's ``track`` may be.
TRACKS = ("map", "insulation", "compartments", "profile")
#: Characters of all the edits of a genome, changes that they may be, and times the reference's
#: length that it may have.
MAX_TEXT, MAX_CHANGES, MAX_GROWTH = 200_000, 1000, 2


class UrlError(OrcaCoolError):
    """An ``orca://`` URL is not one, or names something that is not served."""


@dataclass(frozen=True)
class Address:
    """What an ``orca://MODEL/GENOME?...`` URL says.

    Attributes
    ----------
    edits : in the grammar of edits. vcf : lines of VCF, "" for none. track : one of TRACKS; profile
        : its name.
    lifted : an edited genome's map at the reference's coordinates. difference : ln
        alternate / reference, there.
    """

    model: str
    genome: str
    edits: tuple[str, ...] = ()
    vcf: str = ""
    track: str = "map"
    profile: str = ""
    lifted: bool = False
    difference: bool = False

    def __str__(self) -> str:
        query: list[tuple[str, str]] = [("edit", edit) for edit in self.edits]
        query += [("vcf", self.vcf)] * bool(self.vcf) + [("track", self.track)] * (
            self.track != "map"
        )
        query += [("profile", self.profile)] * bool(self.profile) + [
            ("lift", "reference")
        ] * self.lifted
        query += [("value", "difference")] * self.difference
        where = "/".join(quote(name, safe="") for name in (self.model, self.genome))
        return f"orca://{where}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")

    @property
    def sequence(self) -> Address:
        """The address of the map in its own coordinates: what the tracks of one sequence share."""
        return Address(self.model, self.genome, self.edits, self.vcf)

    @property
    def edited(self) -> bool:
        return bool(self.edits or self.vcf)


def tidy(edits: Iterable[str]) -> tuple[str, ...]:
    """Texts of edits as an address has them: blanks count once, and empty ones not at all."""
    return tuple(" ".join(edit.split()) for edit in edits if edit.strip())


def parse_url(url: str) -> Address:
    """Read an ``orca://`` URL; UrlError says what is wrong with it."""
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
        if key == "edit":
            address = replace(address, edits=(*address.edits, " ".join(value.split())))
        elif key in ("vcf", "profile"):
            address = (
                replace(address, vcf=value) if key == "vcf" else replace(address, profile=value)
            )
        elif (key, value) in (
            ("lift", "reference"),
            ("frame", "reference"),
        ):  # in version 0.1: frame
            address = replace(address, lifted=True)
        elif (key, value) == ("value", "difference"):
            address = replace(address, difference=True, lifted=True)
        elif key == "track" and value in TRACKS:
            address = replace(address, track=value)
        else:
            known = (
                f"edit, vcf, track ({', '.join(TRACKS)}), profile, lift=reference, value=difference"
            )
            raise UrlError(f"the URL {shown!r} says {key[:100]}={value[:100]!r}; it takes {known}")
    if address.lifted and (not address.edited or address.track != "map"):
        raise UrlError(f"the URL {shown!r}: lift and value are of the map of an edited genome")
    if (address.track == "profile") != bool(address.profile):
        raise UrlError(f"the URL {shown!r}: track=profile and profile=NAME go together")
    return address
