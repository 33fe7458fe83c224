"""What a decoded window depends on: the digest by which the window store finds it.

A window depends on the networks and their numerics, on the sequence of its whole top window and of
what the encoder sees around it (the maps above it are handed down, and each sees all of its own),
on where it lies in that top window, and on the map above it. The sequence counts by its content,
not by its name: the windows of an edited genome are found wherever no edit touches their top
window.

How the encoder's work is cut into blocks changes the last bits of encodings, and a stored window
has to be the one that would be decoded, bit for bit. So the phase of the sequence in the grid of
blocks belongs to the digest too.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from orca_cool import __version__
from orca_cool.encodings.cache import EditedCache
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription
from orca_cool.prediction.batch_decoder import plain
from orca_cool.prediction.window_store import WindowStore
from orca_cool.prediction.windows import Window

if TYPE_CHECKING:
    from orca_cool.prediction.orca_engine import OrcaEngine
    from orca_cool.prediction.root import Root

#: bp in memory at a time while sequence is hashed.
PIECE = 1 << 24


@dataclass(frozen=True)
class Key:
    """By what one strand of a window is found in the store.

    Attributes
    ----------
    digest : of all that its numbers depend on.
    keep : it is added to the store if it is decoded.
    """

    digest: bytes
    keep: bool


@dataclass(frozen=True, eq=False)
class Content:
    """All that the windows of a top window depend on, but where they lie in it.

    Attributes
    ----------
    digest_of : computes the digest, when it is first needed.
    keep : windows that are decoded are added to the store; otherwise they are only looked for.
    """

    digest_of: Callable[[], bytes]
    keep: bool = True

    @cached_property
    def digest(self) -> bytes:
        """Of 32 bytes."""
        return self.digest_of()

    def key(self, place: Sequence[int | None], read: Sequence[Tensor]) -> Key:
        """The key of one strand of a window.

        Parameters
        ----------
        place : where it lies, and which strand it is.
        read : what it is decoded from besides, above all the maps of the window above it.
        """
        sha = hashlib.sha256(self.digest + json.dumps([*place]).encode())
        for y in read:
            sha.update(np.ascontiguousarray(y.detach().cpu().numpy()).tobytes())
        return Key(sha.digest(), self.keep)


def model_digest(
    weights: str,
    spec: ModelDescription,
    numerics: Mapping[str, str],
    expected: Iterable[ExpectedModel] = (),
) -> bytes:
    """Digest of the networks and of the numerics of an engine. Cell types have their maps in one
    window, so which of them is asked for does not count.
    """
    described = dataclasses.asdict(spec) if dataclasses.is_dataclass(spec) else {"name": spec.name}
    plain = {
        "orca_cool": __version__,
        "weights": weights,
        "spec": {k: v for k, v in described.items() if k != "cell_type"},
        # number types that were asked for and given up do not count either
        "numerics": {
            k: v for k, v in numerics.items() if k != "cell_type" and not k.endswith("_asked")
        },
    }
    sha = hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode())
    for table in expected:
        sha.update(repr((table.resolution, table.trans)).encode())
        sha.update(np.ascontiguousarray(table.cis, dtype="<f8").tobytes())
    return sha.digest()


def content_digest(
    model: bytes,
    about: Sequence[Any],
    source: SequenceSource,
    segments: Sequence[Segment],
    start: int,
    base: int,
    block: int,
) -> bytes:
    """Digest of a top window.

    Parameters
    ----------
    model : :func:`model_digest`. about : plain values that count besides.
    source : that segments are of.
    segments : of the top window, and what is seen around it, in order.
    start : where the first lies, in bp of the genome that is predicted.
    base, block : bin of the encodings, and block of the encoder, in bp.
    """
    layout = _layout(segments, start, base, block)
    sha = hashlib.sha256(model + json.dumps([*about, layout]).encode())
    for s in segments:
        for a in range(0, len(s), PIECE):
            codes = s.part(a, min(a + PIECE, len(s))).fetch(source)
            sha.update(np.ascontiguousarray(codes, dtype=np.uint8).tobytes())
    return sha.digest()


def content_of(
    engine: OrcaEngine,
    module: ModuleSpec,
    chrom: str,
    start: int,
    edges: str,
    segments: Sequence[Segment] | None,
    other: Sequence[Segment] | None = None,
) -> Content | None:
    """By what the windows of a top window of an Orca-type model are found; None without a store.

    Parameters
    ----------
    start : of the top window in bp. edges : what the encoder sees at its ends.
    segments, other : what it consists of on both strands, for a module that reads several
        chromosomes.
    """
    if engine.window_store is None:
        return None

    def digest() -> bytes:
        spec, encodings = engine.spec, engine.encodings
        numerics = engine.numerics | {"edges": edges}
        weights = model_digest(engine.digest, spec, numerics, engine.bundle.every_expected(module))
        around = engine.context if edges == "real" and segments is None else 0
        end = start + spec.window(module.resolutions[0])
        read = list(segments or [Segment(chrom, start - around, end + around)])
        about: list[Any] = [module.name, [plain(segments), plain(other)]]
        source = encodings.source
        # as the encodings are taken: those of an edited genome from its source
        if isinstance(encodings, EditedCache):
            read, source = encodings.genome.flat(read), encodings.reference.source
            if encodings.reference.fine is not None and len(read) > 1:
                about.append("first tier kept")  # around edits its last bits differ
        base, block = spec.base_bin, spec.encoder.block
        return content_digest(weights, about, source, read, start - around, base, block)

    return Content(digest, engine.keep)


def key_of(
    root: Root, window: Window, reverse: bool, above: Tensor | None, expected_at: int | None = None
) -> Key | None:
    """By what one strand of a window is found; None if it is not looked for.

    Parameters
    ----------
    above : the maps of the window above it on that strand, None at the top.
    expected_at : where its expected is taken in bp from the start of the top window, if that is not
        where it lies.
    """
    if root.content is None:
        return None
    resolution, scale = window.resolution, root.module.resolutions[0] // window.resolution
    start = window.start - window.root * scale
    parent = None if window.parent is None else window.parent - window.root * scale // 2
    expected = expected_at if root.segments else None
    place = [resolution, start, parent, reverse, root.n_strands, expected]
    return root.content.key(place, [] if above is None else [above])


def _layout(segments: Sequence[Segment], start: int, base: int, block: int) -> list[Any]:
    """How the bins of the encodings, and the blocks in which they are made, lie on segments."""
    pieces = [
        [len(s), s.strand, (s.start if s.strand == "+" else s.end) % block] if s.chrom else [len(s)]
        for s in segments
    ]
    if len(segments) == 1 and segments[0].chrom and segments[0].strand == "+":
        there = segments[0].start
        # all of it is taken from the chromosome, wherever the window lies on the edited one
        if (there - start) % block == 0 or (start % base == 0 and there % base == 0):
            return pieces
    return [*pieces, start % block]


def stored(
    store: WindowStore | None, keys: Sequence[Key | None], device: torch.device
) -> list[Tensor | None]:
    """What the store has, (1, maps, bins, bins) each."""
    asked = {k: key.digest for k, key in enumerate(keys) if key}
    if store is None or not asked:
        return [None] * len(keys)
    found = dict(zip(asked, store.get(list(asked.values()))))
    values = [found.get(k) for k in range(len(keys))]
    return [None if y is None else torch.from_numpy(y)[None].to(device) for y in values]


def through_store(
    store: WindowStore | None,
    keys: Sequence[Key | None],
    decode: Callable[[Sequence[int]], Sequence[Tensor]],
    device: torch.device,
    together: int = 1,
) -> list[Tensor]:
    """Maps of strands of windows: what the store has is taken from it, the rest decoded and added.

    Parameters
    ----------
    keys : of each; None: it is not looked for.
    decode : from the numbers of some, their maps, (1, maps, bins, bins) each.
    together : strands of a window, which are decoded together or not at all.
    """
    if store is None:
        return list(decode(range(len(keys))))
    found = stored(store, keys, device)
    lacking = {k // together for k, y in enumerate(found) if y is None}
    missing = [k for k in range(len(keys)) if k // together in lacking]
    if missing:
        made = add(store, [keys[k] for k in missing], decode(missing))
        for k, y in zip(missing, made):
            found[k] = y
    return [y for y in found if y is not None]


def add(
    store: WindowStore | None, keys: Sequence[Key | None], maps: Sequence[Tensor]
) -> list[Tensor]:
    """Add decoded strands, (1, maps, bins, bins) each, to the store; the same as they will come
    back from it.
    """
    if store is None:
        return list(maps)
    out, new = [], []
    for key, y in zip(keys, maps):
        values = y[0].float().cpu().numpy()
        rounded = store.rounded(values)
        if key and key.keep:
            new.append((key.digest, rounded))
        out.append(y if rounded is values else torch.from_numpy(rounded)[None].to(y.device))
    store.add([digest for digest, _ in new], [values for _, values in new])
    return out
