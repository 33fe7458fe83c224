"""What is said of a predicted tileset in a URL, and edited genomes that are open."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from orca_cool.errors import EditError, OrcaCoolError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Change
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.source import SequenceSource
from orca_cool.variants import haplotype, parse_edits, read_variants

#: What a URL's ``track`` may be.
TRACKS = ("map", "insulation", "compartments", "profile")
#: Characters of all the edits of a genome, changes that they may be, and times the reference's
#: length that it may have.
MAX_TEXT, MAX_CHANGES, MAX_GROWTH = 200_000, 1000, 2
#: Longest list of contigs or segments that is told.
MAX_SEGMENTS = 20_000

_VCF = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


class UrlError(OrcaCoolError):
    """An ``orca://`` URL is not one, or names something that is not served."""


@dataclass(frozen=True)
class Address:
    """What an ``orca://MODEL/GENOME?...`` URL says.

    Attributes
    ----------
    edits : in the grammar of edits. vcf : lines of VCF, "" for none. track : one of TRACKS; profile
        : its name.
    frame : "reference": an edited genome's map at the reference's coordinates. difference : ln
        alternative / reference, there.
    """

    model: str
    genome: str
    edits: tuple[str, ...] = ()
    vcf: str = ""
    track: str = "map"
    profile: str = ""
    frame: str = ""
    difference: bool = False

    def __str__(self) -> str:
        query: list[tuple[str, str]] = [("edit", edit) for edit in self.edits]
        query += [("vcf", self.vcf)] * bool(self.vcf) + [("track", self.track)] * (
            self.track != "map"
        )
        query += [("profile", self.profile)] * bool(self.profile) + [("frame", self.frame)] * bool(
            self.frame
        )
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
        elif (key, value) == ("frame", "reference"):
            address = replace(address, frame=value)
        elif (key, value) == ("value", "difference"):
            address = replace(address, difference=True, frame="reference")
        elif key == "track" and value in TRACKS:
            address = replace(address, track=value)
        else:
            known = f"edit, vcf, track ({', '.join(TRACKS)}), profile, frame=reference, value=difference"
            raise UrlError(f"the URL {shown!r} says {key[:100]}={value[:100]!r}; it takes {known}")
    if address.frame and (not address.edited or address.track != "map"):
        raise UrlError(f"the URL {shown!r}: frame and value are of the map of an edited genome")
    if (address.track == "profile") != bool(address.profile):
        raise UrlError(f"the URL {shown!r}: track=profile and profile=NAME go together")
    return address


@dataclass
class EditedView:
    """An edited genome that is open: what its page needs to know. Fields are described in
    :meth:`to_json`'s names.

    Attributes
    ----------
    id : of the edit. url : of its map. assembly : its name. edits : what was asked for. problems :
        variants that could not be used.
    contigs : chromsizes of the edited genome; edited : those that are not as they were.
    junctions : by edited contig, bp where two pieces meet. places : by chromosome of the reference,
        bp of the breakpoints there.
    tilesets : uids: "map", "insulation", "compartments" in its own coordinates; "frame",
        "difference" in the reference's.
    """

    id: str
    name: str
    url: str
    assembly: str
    model: str
    genome: str
    edits: list[str]
    problems: list[str]
    contigs: dict[str, int]
    edited: list[str]
    junctions: dict[str, list[int]]
    places: dict[str, list[int]]
    tilesets: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def edited_genome(
    address: Address, source: SequenceSource, least: int
) -> tuple[EditedGenome, list[Change], list[str]]:
    """The genome that an address asks for, its changes, and the variants of its VCF lines that
    cannot be used.

    No file is read whatever the edits say.

    Parameters
    ----------
    least : bp that every edited chromosome must have.

    Raises
    ------
    EditError
        If an edit is not understood or cannot be made, or asks for too much.
    """
    size = sum(map(len, address.edits)) + len(address.vcf)
    if size > MAX_TEXT:
        raise EditError(f"the edits have {size:,} characters; at most {MAX_TEXT:,} are read")
    changes: list[Change] = []
    problems: list[str] = []
    for text in address.edits:
        changes += parse_edits(text, source, files=False)
    if address.vcf:
        found, problems = _of_vcf(address.vcf, source)
        changes += found
    if not changes:
        raise EditError(
            problems[0] if problems else "there is no edit; write one as chrII:238,208-238,325 del"
        )
    if len(changes) > MAX_CHANGES:
        raise EditError(
            f"there are {len(changes):,} changes; at most {MAX_CHANGES:,} are made at once"
        )
    genome = apply_edits(source, changes)
    length, limit = sum(genome.chromsizes.values()), MAX_GROWTH * sum(source.chromsizes.values())
    if length > limit:
        raise EditError(f"the edited genome has {length:,} bp; at most {limit:,} are shown")
    if sum(map(len, genome.contigs.values())) > MAX_SEGMENTS:
        raise EditError(f"the edited genome is of more than {MAX_SEGMENTS:,} pieces")
    for contig in genome.edited:
        if genome.chromsizes[contig] < least:
            raise EditError(
                f"the edits leave {genome.chromsizes[contig]:,} bp of {contig!r}, less than one "
                f"bin of {least:,} bp"
            )
    return genome, changes, problems


def _of_vcf(text: str, source: SequenceSource) -> tuple[list[Change], list[str]]:
    """Changes that lines of VCF, with or without a header, ask for: all of them together."""
    lines = text.replace("\r\n", "\n").strip("\n")
    if not lines.startswith("#"):
        # what is typed or pasted has lost its tabs more often than not
        lines = _VCF + "\n".join(
            "\t".join(line.split(None, 7)) for line in lines.split("\n") if line.strip()
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.vcf"
        path.write_text(lines + "\n", encoding="utf-8", errors="replace")
        try:
            return haplotype(
                (replace(v, alleles=(1,), phased=True) for v in read_variants(path, source)), 1
            )
        except EditError as error:
            raise EditError(
                str(error)
                .replace(repr(str(path)), "the VCF text")
                .replace(str(path), "the VCF text")
            ) from error


def places_of(genome: EditedGenome) -> dict[str, list[int]]:
    """Where on the source the edited contigs were cut, by chromosome, bp."""
    found: dict[str, set[int]] = {}
    for contig in genome.edited:
        for s in genome.contigs[contig]:
            if s.chrom:
                ends = {s.start, s.end} - {0, genome.source.chromsizes[s.chrom]}
                found.setdefault(s.chrom, set()).update(ends)
    return {chrom: sorted(found[chrom]) for chrom in genome.source.chromsizes if found.get(chrom)}


class State:
    """What a server remembers when it is started again: its secret, and the addresses of edited
    genomes.

    Parameters
    ----------
    folder : None: memory alone.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder
        self._edits: dict[str, dict[str, Any]] = {}
        secret: bytes | None = None
        if folder is not None:
            try:
                (folder / "edits").mkdir(parents=True, exist_ok=True)
                secret = _read_secret(folder / "secret")
            except OSError as error:
                raise OrcaCoolError(
                    f"the state folder {str(folder)!r} cannot be used: {error.strerror or error}"
                ) from error
        self._secret = secret or secrets.token_bytes(32)

    def uid(self, text: str) -> str:
        """The uid of what a text describes: always the same, and to be guessed by nobody."""
        digest = hmac.new(self._secret, text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest)[:22].decode("ascii")

    def saved(self) -> Iterator[tuple[str, str, float]]:
        """Id, URL, and time of last use of edits, oldest first; of this run, or of the runs before."""
        if self.folder is not None:
            for path in (self.folder / "edits").glob("*.json"):
                with contextlib.suppress(
                    OSError, ValueError, KeyError, TypeError
                ):  # of another version, or half removed
                    said = json.loads(path.read_text(encoding="utf-8"))
                    self._edits.setdefault(
                        path.stem, {"url": str(said["url"]), "used": float(said["used"])}
                    )
        yield from sorted(
            ((k, v["url"], v["used"]) for k, v in self._edits.items()), key=lambda item: item[2]
        )

    def save(self, edit: str, url: str) -> None:
        """Remember an edit, used now."""
        self._edits[edit] = {"url": url, "used": time.time()}
        if self.folder is not None:
            replace_text(self.folder / "edits" / f"{edit}.json", json.dumps(self._edits[edit]))

    def forget(self, edit: str) -> None:
        """Forget an edit."""
        self._edits.pop(edit, None)
        if self.folder is not None:
            (self.folder / "edits" / f"{edit}.json").unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Write a file under a temporary name and rename it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def _read_secret(path: Path) -> bytes:
    """The secret of a state folder, made the first time; only its owner can read it."""
    if not path.exists():
        temporary = path.with_name(f".secret.{secrets.token_hex(4)}")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)  # whoever is first wins
        temporary.unlink()
    return path.read_bytes()


def changed(edits: Sequence[str], changes: Sequence[Change]) -> str:
    """A short name of what was changed."""
    texts = (
        [str(change) for change in changes]
        if len(changes) < 4
        else [str(changes[0]), f"and {len(changes) - 1:,} more"]
    )
    name = "; ".join(texts or edits)
    return name if len(name) <= 80 else f"{name[:77]}..."
