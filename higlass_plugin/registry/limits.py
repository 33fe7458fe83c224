"""How much a server keeps in memory and remembers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How much a server keeps.

    Attributes
    ----------
    cache_bytes : of decoded windows, tiles and encoded top windows together. (Each model has caches
        of encodings of its own besides, 512 MB of the reference and 256 MB of all edited genomes.)
    edits : number of edited genomes that are open; the least recently used ones are closed.
    saved : number of edited genomes that are remembered; a tile of theirs opens them again.
    guest_edits, guest_saved : the same of those that pages of other origins have made. They never
        take the place of the others.
    attributions : number of attributions that are open; the least recently used ones are closed.
    guest_attributions : the same of those that pages of other origins have asked for.
    seconds : lifetime of an edited genome that nobody uses.
    """

    cache_bytes: int = 2**30
    edits: int = 32
    saved: int = 200
    guest_edits: int = 8
    guest_saved: int = 50
    attributions: int = 64
    guest_attributions: int = 16
    seconds: float = 7 * 86400.0
