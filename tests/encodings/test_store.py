"""The encoding store: right numbers or none, whatever is done to the file or to the processes that
use it.
"""

import dataclasses
import errno
import hashlib
import logging
import multiprocessing
import os
import shutil
import signal
import time
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from conftest import make_toy_model, make_toy_spec
from stores import coverage, has

from orca_cool.encodings.store import (
    EncodingStore,
    build,
    encoder_digest,
    key,
    layout,
    sequence_digest,
    verify,
    wanted_blocks,
)
from orca_cool.errors import GenomeError, StoreError
from orca_cool.genome.regions import Region
from orca_cool.genome.source import GAP, one_hot, reverse_complement
from orca_cool.model.encoder import Encoder

#: Children are forked: they inherit the toy encoder and start within milliseconds.
FORK = multiprocessing.get_context("fork")
SIZES = {"a": 30_010, "b/c": 2100, "d": 5}
BLOCKS = {"a": 20, "b/c": 2, "d": 1}  # of 1600 bp, over [0, length + 400)
BLOCK, BINS, WIDTH = 1600, 40, 8


class Codes:
    """A genome in memory."""

    def __init__(self, sizes=SIZES, seed=0, name="toyGenome"):
        random = np.random.default_rng(seed)
        self.codes = {c: random.integers(0, 5, n).astype(np.uint8) for c, n in sizes.items()}
        self.chromsizes, self.name, self.read = dict(sizes), name, 0

    def fetch(self, chrom, start, end):
        self.read += end - start
        out = np.full(end - start, GAP, dtype=np.uint8)
        a, b = max(start, 0), min(end, self.chromsizes[chrom])
        if a < b:
            out[a - start : b - start] = self.codes[chrom][a:b]
        return out


ENCODER = make_toy_model().encoder


def plain(source, chrom, k, reverse, encoder=ENCODER):
    """Block k by one pass of the plain encoder over it and its real flanks; (bins, width) in
    forward order of bins.
    """
    spec = encoder.spec
    codes = source.fetch(chrom, k * spec.block - spec.flank, (k + 1) * spec.block + spec.flank)
    with torch.no_grad():
        y = encoder(one_hot(reverse_complement(codes) if reverse else codes)[None])[0]
    edge = spec.flank // spec.base_bin
    y = y[:, edge:-edge]
    return (y.flip(-1) if reverse else y).T.numpy()


def made_up(chrom, k, reverse, version=0):
    """Values that tell their place, all of them exact in float16."""
    seed = [k, int(reverse), version, *chrom.encode()]
    return (np.random.default_rng(seed).integers(-1000, 1000, (BINS, WIDTH)) / 16).astype(
        np.float32
    )


def make_up(pause=0.0, count=None):
    """A quick ``encode_blocks``; calls ``count`` for every block."""

    def encode_blocks(chrom, first, last, reverse):
        for k in range(first, last + 1):
            if pause:
                time.sleep(pause)
            if count is not None:
                count(chrom, k, reverse)
            yield k, made_up(chrom, k, reverse)

    return encode_blocks


def everything(store):
    return [
        (c, k, r)
        for c, blocks in BLOCKS.items()
        for k in range(blocks)
        for r in (False, True)
        if c in store.header.chromsizes
    ]


def wrong_or_missing(store):
    """Places whose block is missing; fails if any number is wrong."""
    missing = []
    for place in everything(store):
        values = store.read(*place)
        if values is None:
            missing.append(place)
        else:
            np.testing.assert_array_equal(values, made_up(*place), err_msg=str(place))
    return missing


def open_(path, source=None, **changes):
    return EncodingStore.open(path, ENCODER, source or Codes(), model_name="toy", **changes)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "toy.h5"


@pytest.fixture
def full(path):
    """Path of a complete store of made-up values."""
    with open_(path) as store:
        build(store, make_up())
    return path


def in_child(work, *args):
    process = FORK.Process(target=work, args=args, daemon=True)
    process.start()
    return process


# -- contents
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_what_is_read_is_the_plain_encoding(path, dtype):
    source = Codes()

    def encode_blocks(chrom, first, last, reverse):
        return ((k, plain(source, chrom, k, reverse)) for k in range(first, last + 1))

    with open_(path, source, dtype=dtype) as store:
        assert (store.dtype, store.block, store.block_bins, store.width) == (
            dtype,
            BLOCK,
            BINS,
            WIDTH,
        )
        assert {c: store.blocks(c) for c in SIZES} == BLOCKS
        assert build(store, encode_blocks) == 2 * sum(BLOCKS.values())
    with open_(path, source) as store:
        for place in everything(store):
            expected, found = plain(source, *place), store.read(*place)
            assert found.dtype == np.float32
            # half a unit in the last of 11 binary digits, and of 2 ** -24 where float16 is
            # subnormal
            limit = 0 if dtype == "float32" else np.maximum(np.abs(expected) * 2.0**-11, 2.0**-25)
            assert (np.abs(found - expected) <= limit).all()
        assert build(store, encode_blocks) == 0


def test_any_h5py_reads_it(full):
    with h5py.File(full) as file:
        assert file.attrs["format"] == "orca-cool-encodings"
        assert file.attrs["version"] == 1
        assert file.attrs["edges"] == "real flanks"
        assert (file.attrs["model"], file.attrs["genome"], file.attrs["dtype"]) == (
            "toy",
            "toyGenome",
            "float16",
        )
        assert file.attrs["encoder"] == encoder_digest(ENCODER)
        assert [c.decode() for c in file["chromsizes/name"]] == list(SIZES)
        assert list(file["chromsizes/length"]) == list(SIZES.values())
        assert set(file["encodings"]) == {"a", "b%2Fc", "d"}
        a = file["encodings/a"][()]
        assert a.shape == (2, 20 * BINS, WIDTH)
        for strand in (0, 1):
            for k in range(20):
                np.testing.assert_array_equal(
                    a[strand, k * BINS : (k + 1) * BINS], made_up("a", k, bool(strand))
                )
        assert (file["checksums/b%2Fc"][()] >> np.uint64(32) == 1).all()
        assert file["sequences"][0].tobytes()[:32] == sequence_digest(Codes(), "a")


def test_it_grows_block_by_block(path):
    with open_(path) as store:
        assert store.read("a", 3, False) is None
        assert not has(store, "a", 3, False)
        store.write("a", 3, True, made_up("a", 3, True))
        assert has(store, "a", 3, True)
        assert not has(store, "a", 3, False)
        assert coverage(store) == {"a": 1 / 40, "b/c": 0, "d": 0}
    with open_(path) as store:
        assert len(wrong_or_missing(store)) == 2 * sum(BLOCKS.values()) - 1
        assert build(store, make_up(), ["d", Region("a", 1600, 4800)]) == 2 + 4
        # a region that reaches the chromosome's end takes the flank beyond it
        assert wanted_blocks(store, [Region("a", 28_000, 30_010), "d"]) == {
            "a": [17, 18, 19],
            "d": [0],
        }
        assert wanted_blocks(store, [Region("a", 28_000, 28_800)]) == {"a": [17]}
        build(store, make_up())
        assert wrong_or_missing(store) == []
        assert coverage(store) == dict.fromkeys(SIZES, 1.0)


def test_outside_there_is_nothing(full):
    with open_(full) as store:
        assert store.read("a", -1, False) is None
        assert store.read("a", 20, False) is None
        with pytest.raises(ValueError, match="0 to 19"):
            store.write("a", 20, False, made_up("a", 20, False))
        with pytest.raises(ValueError, match=r"\(40, 8\)"):
            store.write("a", 0, False, made_up("a", 0, False).T)
        with pytest.raises(GenomeError, match="'x'"):
            store.read("x", 0, False)


def test_what_float16_cannot_hold(path):
    values = made_up("a", 0, False)
    values[3, 4] = 70_000
    with open_(path) as store:
        with pytest.raises(
            StoreError, match=r"a:0-1,600, forward strand reach 70000.*--dtype float32"
        ):
            store.write("a", 0, False, values)
        values[3, 4] = np.nan
        with pytest.raises(StoreError, match="not finite"):
            store.write("a", 0, False, values)
        assert not has(store, "a", 0, False)
    values[3, 4] = 70_000
    with open_(path.with_name("wide.h5"), dtype="float32") as store:
        store.write("a", 0, False, values)
        np.testing.assert_array_equal(store.read("a", 0, False), values)


def test_progress_counts_base_pairs(path):
    said = []
    with open_(path) as store:
        store.write("a", 3, True, made_up("a", 3, True))
        build(store, make_up(), ["a"], lambda *numbers: said.append(numbers))
        assert said[0] == (BLOCK // 2, 20 * BLOCK)
        assert said[-1] == (20 * BLOCK, 20 * BLOCK)
        assert said == sorted(said)
        said.clear()
        assert verify(store, ["a"], lambda *numbers: said.append(numbers)) == []
        assert said[-1] == (20 * BLOCK, 20 * BLOCK)


def test_an_encoder_that_leaves_blocks_out_is_told(path):
    with open_(path) as store, pytest.raises(ValueError, match="1"):
        build(
            store,
            lambda chrom, first, last, reverse: iter([(0, made_up(chrom, 0, reverse))]),
            ["b/c"],
        )


# -- keys
# --------------------------------------------------------------------------------------------------


def test_digests():
    spec = make_toy_spec().encoder
    other = Encoder(dataclasses.replace(spec, block=3200, flank=800, dropout=0.1))
    other.load_state_dict(ENCODER.state_dict())
    assert encoder_digest(other) == encoder_digest(
        ENCODER
    )  # how it is run does not change its numbers
    digest = encoder_digest(other)
    with torch.no_grad():
        other.conv3[0].bias[2] += 1e-3
    assert encoder_digest(other) != digest
    pools = Encoder(dataclasses.replace(spec, pools=(1, 8, 5)))
    pools.load_state_dict(ENCODER.state_dict())
    assert encoder_digest(pools) != encoder_digest(ENCODER)


def test_sequence_digest_is_that_of_the_codes(monkeypatch):
    source = Codes()
    whole = hashlib.sha256(source.codes["a"].tobytes()).digest()
    assert sequence_digest(source, "a") == whole
    monkeypatch.setattr(key, "PIECE", 999)
    assert sequence_digest(source, "a") == whole


def test_the_sequence_is_hashed_once(full):
    source = Codes()
    for _ in range(2):
        with open_(full, source) as store:
            assert source.read == 0 or _ == 1  # not before it is needed
            wrong_or_missing(store)
            assert source.read == sum(SIZES.values())


def test_what_another_store_is_refused_for(full):
    before = full.read_bytes()
    with pytest.raises(StoreError, match=r"toy\.h5 .*'toy'.*'other'"):
        EncodingStore.open(full, make_toy_model(seed=2).encoder, Codes(), model_name="other")
    with pytest.raises(
        StoreError,
        match=r"toy\.h5 .*'toyGenome', not of 'longer': a is 30,010 bp in the store, 30,011 bp in",
    ):
        open_(full, Codes(SIZES | {"a": 30_011}, name="longer"))
    with pytest.raises(StoreError, match="'more': e is absent in the store, 7 bp"):
        open_(full, Codes(SIZES | {"e": 7}, name="more"))
    with pytest.raises(StoreError, match="'less': d is 5 bp in the store, absent"):
        open_(full, Codes({c: n for c, n in SIZES.items() if c != "d"}, name="less"))
    with pytest.raises(StoreError, match=r"toy\.h5 holds float16 encodings, float32 was asked for"):
        open_(full, dtype="float32")
    with pytest.raises(StoreError, match=r"'int8'.*float16, float32"):
        open_(full, dtype="int8")
    wide = Encoder(dataclasses.replace(ENCODER.spec, block=3200))
    wide.load_state_dict(ENCODER.state_dict())
    with pytest.raises(StoreError, match=r"1,600 bp.*3,200"):
        EncodingStore.open(full, wide, Codes())
    assert full.read_bytes() == before


def test_another_sequence_of_the_same_length_is_refused_when_it_is_touched(full):
    other = Codes(name="edited")
    other.codes["a"][12_345] ^= 1
    with open_(full, other) as store:
        np.testing.assert_array_equal(store.read("b/c", 1, True), made_up("b/c", 1, True))
        message = r"a of .*toy\.h5 was made from another sequence \(genome 'toyGenome'\) than that of 'edited'"
        for touch in (
            lambda: store.read("a", 0, False),
            lambda: store.write("a", 0, False, made_up("a", 0, False, 1)),
        ):
            with pytest.raises(StoreError, match=message):
                touch()
        with pytest.raises(StoreError, match=message):
            build(store, make_up())
    with open_(full) as store:
        assert wrong_or_missing(store) == []


def test_two_genomes_that_find_an_empty_store(path):
    """The first to write decides, also for those that opened it while it was empty."""
    other = Codes(seed=1, name="other")
    with open_(path) as first, open_(path, other) as second:
        assert second.read("a", 0, False) is None
        first.write("a", 0, False, made_up("a", 0, False))
        with pytest.raises(StoreError, match="another sequence"):
            second.write("a", 1, False, made_up("a", 1, False, 1))
        second.write("b/c", 1, False, made_up("b/c", 1, False))
        with pytest.raises(StoreError, match="another sequence"):
            first.read("b/c", 1, False)


# -- files that are not there, or not to be had
# ---------------------------------------------------------------------------------


def test_paths_that_cannot_be(tmp_path, path):
    with pytest.raises(StoreError, match=r"no folder .*nowhere"):
        open_(tmp_path / "nowhere" / "toy.h5")
    for choice in ({"create": False}, {"read_only": True}):
        with pytest.raises(StoreError, match=r"no store .*toy\.h5.*orca-cool encode"):
            open_(path, **choice)
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(StoreError, match=r"folder\.h5"):
        open_(tmp_path / "folder.h5")
    for name, content in {"empty.h5": b"", "noise.h5": bytes(range(256)) * 40}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(StoreError, match=rf"{name} is not a store"):
            open_(tmp_path / name)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(StoreError, match=r"other\.h5 is not a store"):
        open_(tmp_path / "other.h5")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "empty.h5",
        "folder.h5",
        "noise.h5",
        "other.h5",
    ]


def test_read_only_beside_a_writer(path):
    with open_(path) as writer:
        with open_(path, read_only=True) as reader:
            assert reader.read("a", 0, False) is None
            child = in_child(lambda: build(writer, make_up()))
            child.join(30)
            assert wrong_or_missing(reader) == []
            with reader.claim("a", 0) as mine:
                assert not mine
            for write in (
                lambda: reader.write("a", 0, False, made_up("a", 0, False)),
                lambda: reader.forget("a", 0, False),
            ):
                with pytest.raises(StoreError, match="reading only"):
                    write()


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_store_that_is_there_is_never_replaced(path, monkeypatch, links):
    def link(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if not links:  # as on exFAT
        monkeypatch.setattr(os, "link", link)
    with open_(path) as store:
        store.write("a", 0, False, made_up("a", 0, False))
        layout.make(
            path, store.header.about, store.header.chromsizes
        )  # another that saw none a moment ago
    with open_(path) as store:
        assert has(store, "a", 0, False)
    assert not list(path.parent.glob(".*"))


def test_what_a_process_killed_while_making_a_store_left_is_cleared_away(path):
    old, new = path.with_name(".toy.h5.1.partial"), path.with_name(".toy.h5.2.partial")
    for left in (old, new):
        left.touch()
    os.utime(old, (0, 0))
    open_(path).close()
    assert not old.exists()
    assert new.exists()  # perhaps still being written


def test_made_by_many_at_once(path):
    """One wins; none writes into a file that another has replaced."""
    start = FORK.Barrier(6)

    def work(number):
        start.wait()
        with open_(path) as store:
            store.write("a", number, False, made_up("a", number, False))

    children = [in_child(work, n) for n in range(6)]
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    with open_(path) as store:
        for n in range(6):
            np.testing.assert_array_equal(store.read("a", n, False), made_up("a", n, False))
    assert not list(path.parent.glob(".*"))


# -- disk full
# --------------------------------------------------------------------------------------------------


def test_disk_full_while_writing(path, monkeypatch):
    real, calls = os.pwrite, 0
    with open_(path) as store:
        build(store, make_up(), ["b/c"])

        def pwrite(fd, data, offset):
            nonlocal calls
            calls += 1
            if calls > 20:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(fd, data, offset)

        monkeypatch.setattr(os, "pwrite", pwrite)
        with pytest.raises(
            StoreError, match=r"no space left on the disk of .*toy\.h5 \([\d,.]+ MB free"
        ):
            build(store, make_up())
        monkeypatch.setattr(os, "pwrite", real)
        kept = 2 * sum(BLOCKS.values()) - len(wrong_or_missing(store))
        assert (
            kept == 4 + 9
        )  # 20 writes: one record, nine blocks with their checksums, half a tenth
        assert build(store, make_up()) == 2 * sum(BLOCKS.values()) - kept
        assert wrong_or_missing(store) == []


def test_short_writes_go_on(path, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, bytes(data)[:100], offset))
    with open_(path) as store:
        build(store, make_up())
        assert wrong_or_missing(store) == []


def test_too_little_room_is_told_before_anything_is_encoded(full, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with open_(full) as store:
        assert build(store, make_up()) == 0  # nothing is missing
        store.forget("a", 0, False)
        store.forget("a", 1, False)
        with pytest.raises(StoreError, match=r"toy\.h5 \(0\.0 MB free, 0\.0 MB are needed\)"):
            build(store, lambda *_: pytest.fail("encoded all the same"))


def test_disk_full_while_making_it(path, monkeypatch):
    def pwrite(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(StoreError, match=r"no space left .*toy\.h5"):
        open_(path)
    assert list(path.parent.iterdir()) == []


# -- damage
# --------------------------------------------------------------------------------------------------


def survives(path):
    """Whether a damaged store opens; if so, it gives right numbers or none, and can be filled
    again.
    """
    try:
        store = open_(path)
    except StoreError as error:
        told = str(error)
    else:
        told = ""
    if told:
        assert "toy.h5" in told
        assert "--force" in told
        return False
    with store:
        wrong_or_missing(store)
        verify(store)
        build(store, make_up())
        assert wrong_or_missing(store) == []
    with h5py.File(path) as file:  # sound for others too
        np.testing.assert_array_equal(file["encodings/d"][1], made_up("d", 0, True))
    return True


def test_flipped_bits(full, tmp_path):
    random = np.random.default_rng(11)
    sound = full.read_bytes()
    with open_(full) as store:
        changing = store.header.changing()
    survived = 0
    for n in range(200):
        damaged = bytearray(sound)
        # every other one within what is written after the store was made, the others anywhere
        offset, size = changing[random.integers(len(changing))] if n % 2 else (0, len(sound))
        for _ in range(1 + n % 3):
            damaged[offset + random.integers(size)] ^= 1 << random.integers(8)
        full.write_bytes(damaged)
        alive = survives(full)
        survived += alive
        assert alive or n % 2 == 0  # records, checksums and encodings are mended, always
    assert 100 <= survived < 200
    for place in range(48):  # magic, length, checksum of the header
        full.write_bytes(sound[:place] + bytes([sound[place] ^ 4]) + sound[place + 1 :])
        assert not survives(full)


def test_lost_sectors(full):
    random = np.random.default_rng(12)
    sound = full.read_bytes()
    for _ in range(60):
        at = random.integers(len(sound) // 512) * 512
        full.write_bytes(sound[:at] + bytes(512) + sound[at + 512 :])
        survives(full)


def test_truncation(full):
    random = np.random.default_rng(13)
    sound = full.read_bytes()
    with open_(full) as store:
        tables = min(offset for offset, _ in store.header.changing())
    for size in [0, 1, 8, 48, 500, tables, len(sound) - 1, *random.integers(len(sound), size=60)]:
        full.write_bytes(sound[:size])
        if size >= tables:
            open_(full).close()
            assert full.stat().st_size == len(sound)
            full.write_bytes(sound[:size])
        assert survives(full) == (size >= tables)
        assert full.stat().st_size == (len(sound) if size >= tables else size)


def test_a_truncated_store_can_be_read(full):
    sound = full.read_bytes()
    full.write_bytes(sound[: 2 * len(sound) // 3])
    with open_(full, read_only=True) as store:
        assert 0 < len(wrong_or_missing(store)) < 2 * sum(BLOCKS.values())
    assert full.stat().st_size == 2 * len(sound) // 3


def test_damage_is_told_once_and_found_by_verify(full, caplog):
    with open_(full) as store:
        place = store.header.encodings["a"] + 7 * store.header.block_bytes() + 11
    with open(full, "r+b") as file:
        file.seek(place)
        file.write(b"\xff")
    with open_(full) as store, caplog.at_level(logging.WARNING):
        assert has(store, "a", 7, False)
        for _ in range(3):
            assert store.read("a", 7, False) is None
        assert [r.message for r in caplog.records] == [
            f"{full}: block a:11,200-12,800, forward strand is damaged; encoded anew"
        ]
        assert verify(store) == ["a:11,200-12,800, forward strand"]
        assert not has(store, "a", 7, False)
        assert build(store, make_up()) == 1
        assert verify(store) == []


def test_a_block_that_is_written_while_it_is_read_is_not_taken_for_damaged(
    full, monkeypatch, caplog
):
    real, torn = os.pread, []
    with open_(full) as store, open_(full) as other:

        def pread(fd, size, offset):
            data = real(fd, size, offset)
            if size == store.header.block_bytes() and not torn:
                torn.append(offset)
                other.write("a", 3, True, made_up("a", 3, True, version=1))
                return data[: size // 2] + real(fd, size, offset)[size // 2 :]
            return data

        monkeypatch.setattr(os, "pread", pread)
        np.testing.assert_array_equal(store.read("a", 3, True), made_up("a", 3, True, 1))
    assert torn
    assert not caplog.records


def test_a_damaged_sequence_record(full, caplog):
    with open_(full) as store:
        place = store.header.sequences
    with open(full, "r+b") as file:
        file.seek(place + 5)
        file.write(b"\0\0")
    with open_(full) as store:
        assert store.read("a", 7, False) is None
        assert coverage(store) == {"a": 0.0, "b/c": 1.0, "d": 1.0}
        assert "sequence record of a is damaged" in caplog.text
        store.write("a", 7, False, made_up("a", 7, False))
        assert coverage(store) == {
            "a": 1 / 40,
            "b/c": 1.0,
            "d": 1.0,
        }  # of the other blocks nothing is known
        assert build(store, make_up()) == 39
        assert wrong_or_missing(store) == []


# -- kill -9
# --------------------------------------------------------------------------------------------------


def killed_at(number, work):
    """Run ``work`` in a child that dies by kill -9 in the middle of its write ``number``; False if
    it has fewer.
    """

    def child():
        real, calls = os.pwrite, 0

        def pwrite(fd, data, offset):
            nonlocal calls
            if calls == number:
                real(fd, bytes(data)[: len(data) // 2], offset)
                os.kill(os.getpid(), signal.SIGKILL)
            calls += 1
            return real(fd, data, offset)

        os.pwrite = pwrite
        work()

    process = in_child(child)
    process.join(30)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def test_killed_in_every_single_write(path):
    def work():
        with open_(path) as store:
            build(store, make_up(), ["b/c"])

    number = 0
    while killed_at(number, work):
        if path.exists():
            with open_(path) as store:
                wrong_or_missing(store)
                build(store, make_up(), ["b/c"])
                assert {c for c, _, _ in wrong_or_missing(store)} == {"a", "d"}
            path.unlink()
        number += 1
    assert number >= 1 + 1 + 2 * 4  # header, record, four blocks with their checksums


def test_killed_while_a_block_is_written_again(full):
    """With other values, and a number type of whole bytes: what is read is the old block, the new
    one, or none.
    """

    def work():
        with open_(full) as store:
            store.write("a", 3, True, made_up("a", 3, True, version=1))

    number, seen = 0, []
    while killed_at(number, work):
        with open_(full) as store:
            values = store.read("a", 3, True)
            seen.append(
                None
                if values is None
                else [v for v in (0, 1) if np.array_equal(values, made_up("a", 3, True, v))]
            )
            store.write("a", 3, True, made_up("a", 3, True))
        number += 1
    # half of the user's name, half an erased checksum, half a block, half a checksum, half a name
    assert seen == [[0], None, None, None, [1]]
    with open_(full) as store:
        np.testing.assert_array_equal(store.read("a", 3, True), made_up("a", 3, True, 1))


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_random_beside_a_reader(path, seed):
    random = np.random.default_rng(seed)
    stop = FORK.Event()

    def work():
        with open_(path) as store:
            build(store, make_up(pause=0.002))  # 46 blocks: never done before the first kill

    def read():
        rounds = 0
        while not path.exists():
            time.sleep(0.0005)
        while not stop.is_set() or rounds < 2:
            with open_(path, read_only=bool(rounds % 2)) as store:
                wrong_or_missing(store)
            rounds += 1

    reader = in_child(read)
    kills = 0
    for _ in range(100):
        writer = in_child(work)
        time.sleep(float(random.uniform(0, 0.06)))
        os.kill(writer.pid, signal.SIGKILL)
        writer.join(30)
        kills += writer.exitcode != 0
        if writer.exitcode == 0 or kills == 4:
            break
    with open_(path) as store:
        build(store, make_up())
        assert wrong_or_missing(store) == []
    stop.set()
    reader.join(30)
    assert reader.exitcode == 0
    assert kills
    with open_(path.with_name("one.h5")) as store:
        build(store, make_up())
    with h5py.File(path) as a, h5py.File(path.with_name("one.h5")) as b:
        for chrom in b["encodings"]:
            np.testing.assert_array_equal(a["encodings"][chrom][()], b["encodings"][chrom][()])
            np.testing.assert_array_equal(a["checksums"][chrom][()], b["checksums"][chrom][()])


# -- several builders
# --------------------------------------------------------------------------------------------------


def test_two_builders_share_the_work(path):
    start, encoded = FORK.Barrier(2), FORK.SimpleQueue()

    def work(number):
        start.wait()
        with open_(path) as store:
            build(store, make_up(0.002, lambda *place: encoded.put((number, place))))
            assert wrong_or_missing(store) == []

    children = [in_child(work, n) for n in range(2)]
    done = []
    while any(c.is_alive() for c in children) or not encoded.empty():
        if encoded.empty():
            time.sleep(0.001)
        else:
            done.append(encoded.get())
    assert [c.exitcode for c in children] == [0, 0]
    places = [place for _, place in done]
    assert len(places) == len(set(places)) == 2 * sum(BLOCKS.values())  # nothing twice
    assert {n for n, _ in done} == {0, 1}


def test_claims_of_the_dead_are_taken_over(path):
    ready = FORK.Event()

    def hold():
        with open_(path) as store, store.claim("a", 3) as mine, store.claim("a", 4):
            assert mine
            ready.set()
            time.sleep(60)

    with open_(path) as store:
        holder = in_child(hold)
        assert ready.wait(30)
        with store.claim("a", 3) as mine:
            assert not mine
        with store.claim("a", 5) as mine:
            assert mine
        said = []

        def progress(done, total):
            said.append(done)
            if done == total - 2 * BLOCK:  # all but the two that it holds
                os.kill(holder.pid, signal.SIGKILL)

        assert build(store, make_up(), progress=progress) == 2 * sum(BLOCKS.values())
        assert wrong_or_missing(store) == []
        holder.join(30)
        assert holder.exitcode == -signal.SIGKILL


def test_claims_hold_within_a_process_and_outlive_its_other_stores(path):
    answer = FORK.SimpleQueue()

    def ask():
        with open_(path) as store, store.claim("a", 3) as mine:
            answer.put(mine)

    with open_(path) as one:
        with one.claim("a", 3) as mine:
            assert mine
            with open_(path) as two, two.claim("a", 3) as again, two.claim("a", 2) as other:
                assert not again
                assert other
            with h5py.File(path):  # closing files of the process must not drop its claims
                pass
            in_child(ask).join(30)
            assert answer.get() is False
        in_child(ask).join(30)
        assert answer.get() is True


def test_file_systems_without_locks(path, monkeypatch, caplog):
    def lockf(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.lockf", lockf)
    with open_(path) as store:
        assert build(store, make_up()) == 2 * sum(BLOCKS.values())
        assert wrong_or_missing(store) == []
    assert caplog.text.count("cannot be locked") == 1
