"""The protocol that every genome of this package follows, and the codes of bases.

Codes are uint8: 0 A, 1 C, 2 G, 3 T, 4 anything else (N, and whatever lies outside a chromosome).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from orca_cool.errors import GenomeError
from orca_cool.genome.regions import suggestion

if TYPE_CHECKING:
    import torch


#: Code of every position that is not A, C, G or T, and of every position outside its chromosome.
GAP = 4

#: Longest chunk read from a file at a time, in bp: bounds memory.
PIECE = 1 << 22

BASE_CODES = np.full(256, GAP, dtype=np.uint8)
for _code, _letters in enumerate(("Aa", "Cc", "Gg", "TtUu")):
    for _letter in _letters:
        BASE_CODES[ord(_letter)] = _code

_LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)
_COMPLEMENT = np.array([3, 2, 1, 0, GAP], dtype=np.uint8)


@runtime_checkable
class SequenceSource(Protocol):
    """What the rest of the package asks of a genome.

    Attributes
    ----------
    name : short name, for messages and provenance.
    chromsizes : {chromosome: length in bp}, in the file's order.
    """

    name: str
    chromsizes: dict[str, int]

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        """Codes of ``[start, end)``.

        Returns
        -------
        np.ndarray of uint8, shape (end - start,): 0 A, 1 C, 2 G, 3 T, 4 anything else. Positions
        outside ``[0, length)`` are 4, so that windows may overhang a chromosome's ends.

        Raises
        ------
        GenomeError
            If there is no such chromosome; the message suggests the closest name.
        """
        ...


def length_of(source: SequenceSource, chrom: str) -> int:
    """Length of a chromosome in bp; GenomeError with a suggestion if there is none of that name."""
    try:
        return source.chromsizes[chrom]
    except KeyError:
        raise GenomeError(
            f"genome {source.name!r} has no chromosome {chrom!r}; "
            f"{suggestion(chrom, source.chromsizes)}"
        ) from None


def one_hot(
    codes: np.ndarray | torch.Tensor,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Codes as one-hot channels A, C, G, T.

    Parameters
    ----------
    codes : uint8, shape (L,), values 0 to 4. Only these bytes travel to the device; the tensor is
        built there.
    device, dtype : of the result; float32 by default.

    Returns
    -------
    torch.Tensor, shape (4, L): 1 in the base's channel; 0.25 everywhere where the code is 4.
    """
    import torch

    plain = (
        codes
        if isinstance(codes, torch.Tensor)
        else torch.from_numpy(np.ascontiguousarray(codes, dtype=np.uint8))
    )
    plain = plain.to(device)
    out = (plain[None, :] == torch.arange(4, dtype=torch.uint8, device=plain.device)[:, None]).to(
        dtype or torch.float32
    )
    return out.masked_fill_((plain == GAP)[None, :], 0.25)


def letters_to_codes(text: str | bytes) -> np.ndarray:
    """Codes of letters, in upper or lower case: U is T; IUPAC codes and everything else are 4.

    Returns
    -------
    np.ndarray of uint8, shape (len(text),).
    """
    data = text.encode("latin-1", "replace") if isinstance(text, str) else text
    return BASE_CODES[np.frombuffer(data, dtype=np.uint8)]


def codes_to_letters(codes: np.ndarray) -> bytes:
    """Letters A, C, G, T, N of codes 0 to 4."""
    return _LETTERS[codes].tobytes()


def reverse_complement(codes: np.ndarray) -> np.ndarray:
    """Codes of the other strand, read in its own direction; same shape (L,), uint8."""
    return np.ascontiguousarray(_COMPLEMENT[codes[::-1]])
