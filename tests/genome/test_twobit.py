"""What is odd in .2bit files. (That bases are read right is in test_genome.py.)"""

from __future__ import annotations

import logging
import struct

import pytest

from orca_cool.errors import GenomeError
from orca_cool.genome.open import open_genome


def twobit(length: int, blocks: list[tuple[int, int]], name: bytes = b"c") -> bytes:
    """A file of one sequence of T, with blocks of N, and one without a base."""
    starts, sizes = zip(*blocks) if blocks else ((), ())
    record = struct.pack(f"<2I{2 * len(blocks)}I2I", length, len(blocks), *starts, *sizes, 0, 0)
    record += bytes(-(-length // 4))
    head = struct.pack("<4I", 0x1A412743, 0, 2, 0)
    place = len(head) + 1 + len(name) + 4 + 6
    index = bytes([len(name)]) + name + struct.pack("<I", place)
    index += b"\x01e" + struct.pack("<I", place + len(record))
    return head + index + record + struct.pack("<4I", 0, 0, 0, 0)


def test_a_sequence_without_a_base_is_left_out_with_a_warning(tmp_path, caplog):
    path = tmp_path / "a.2bit"
    path.write_bytes(twobit(6, [(1, 2), (4, 2)]))
    with caplog.at_level(logging.WARNING):
        source = open_genome(path)
    assert source.chromsizes == {"c": 6}
    assert source.fetch("c", 0, 6).tolist() == [3, 4, 4, 3, 4, 4]
    assert "left out: e" in caplog.text


@pytest.mark.parametrize("blocks", [[(1, 6)], [(1, 3), (2, 1)], [(2**31, 5)]])
def test_blocks_of_n_that_cannot_be(tmp_path, blocks):
    path = tmp_path / "a.2bit"
    path.write_bytes(twobit(6, blocks))
    with pytest.raises(GenomeError, match=r"blocks of N in 'c' overlap, or go beyond its 6 bp"):
        open_genome(path)
