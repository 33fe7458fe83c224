"""Encoded chromosomes with targets: what the map stages draw from.

The encoder is frozen in these stages, so a chromosome is encoded once and many windows are cut from it. Measured
chromosomes come shifted, on either strand, with their centromere exchanged for another functional one (which changes no
contact); teacher chromosomes are assembled from training sequence with a centromere at a random place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from orca_cool.genome import GAP, reverse_complement
from orca_cool.model.cascade import Orca
from orca_cool.model.fast_encoder import FastEncoder
from orca_cool.positional import Chromosome, Positional
from orca_cool.train.config import Stage
from orca_cool.train.sequence import TrainingGenome, substitute
from orca_cool.train.targets import TargetMaps


@dataclass
class Encoded:
    """One chromosome on one strand.

    Attributes
    ----------
    encodings : (width, n) base encodings of the chromosome, padded to whole coarsest bins; ``outside`` : (width,) those of
        unknown sequence.
    margin : (left, right) (width, m) encodings just outside, where sequence still shows.
    targets : by resolution, (n_r, n_r) log observed/expected.
    """

    encodings: Tensor
    left: Tensor
    right: Tensor
    outside: Tensor
    targets: Mapping[int, np.ndarray]

    def window(self, start: int, bins: int) -> Tensor:
        """(width, bins) base encodings from bin ``start``, which may lie outside."""
        n, m = self.encodings.shape[1], self.left.shape[1]
        out = self.outside[:, None].repeat(1, bins)
        for first, part in ((-m, self.left), (0, self.encodings), (n, self.right)):
            a, b = max(start, first), min(start + bins, first + part.shape[1])
            if a < b:
                out[:, a - start : b - start] = part[:, a - first : b - first]
        return out


def encode_chromosome(model: Orca, codes: np.ndarray, targets: Mapping[int, np.ndarray]) -> Encoded:
    """Encode ``codes``, of whole coarsest bins, with unknown sequence on both sides."""
    spec = model.spec.encoder
    m = -(-spec.half_receptive_field // spec.base_bin)
    pad = np.full(2 * m * spec.base_bin, GAP, dtype=np.uint8)
    whole = np.concatenate([pad, codes, pad])
    encoder = FastEncoder(model.encoder, next(model.parameters()).device)
    y = encoder.span(lambda a, b: whole[a:b], 0, len(whole), ends=(True, True))
    n = len(codes) // spec.base_bin
    # the zero padding of the convolutions reaches m bins in; inside of that the sequence is unknown and constant
    return Encoded(y[:, 2 * m : 2 * m + n], y[:, m : 2 * m], y[:, 2 * m + n : 3 * m + n], y[:, m].clone(), targets)


def flipped(targets: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Targets of the reverse complement."""
    return {r: np.ascontiguousarray(y[::-1, ::-1]) for r, y in targets.items()}


def measured(
    rng: np.random.Generator, genome: TrainingGenome, maps: TargetMaps, targets: Mapping[str, Mapping[int, np.ndarray]], stage: Stage
) -> tuple[np.ndarray, Mapping[int, np.ndarray]]:
    """Sequence and targets of one measured training chromosome, augmented."""
    names = [c for c in genome.chroms if c in maps.maps]
    size = np.array([maps.maps[c].shape[0] for c in names], dtype=float)
    chrom = names[rng.choice(len(names), p=size / size.sum())]
    found = targets[chrom]
    most = max(found)
    codes = genome.codes[chrom].copy()
    cen = genome.centromeres.get(chrom)
    if cen is not None and rng.random() < genome.transplants.replace:
        genome.erase(rng, codes, cen.start, cen.end)
        genome.paste(rng, codes, (cen.start + cen.end) // 2)
    substitute(rng, codes, stage.substitute)
    full = np.full(found[most].shape[0] * most, GAP, dtype=np.uint8)
    shift = int(rng.integers(-stage.shift, stage.shift + 1))
    a, b = max(0, -shift), min(len(full), len(codes) - shift)
    full[a:b] = codes[a + shift : b + shift]
    if rng.random() < 0.5:
        return reverse_complement(full), flipped(found)
    return full, found


def taught(
    rng: np.random.Generator, genome: TrainingGenome, teacher: Positional, resolutions: tuple[int, ...], stage: Stage
) -> tuple[np.ndarray, Mapping[int, np.ndarray]]:
    """An assembled chromosome with the ends of real ones and a centromere at a random place; targets from the teacher."""
    chrom = genome.chroms[rng.choice(len(genome.chroms), p=genome.share)]
    native = genome.codes[chrom]
    length = min(len(native), int(rng.integers(270_000, 850_000)))
    start = int(rng.integers(0, len(native) - length + 1))
    codes = native[start : start + length].copy()
    cen = genome.centromeres.get(chrom)
    if cen is not None and start < cen.end and cen.start < start + length:
        genome.erase(rng, codes, cen.start - start, cen.end - start)
    for left in (True, False):
        donor = genome.codes[genome.chroms[int(rng.integers(len(genome.chroms)))]]
        tip = int(rng.integers(5_000, 20_000))
        end = donor[:tip] if rng.random() < 0.5 else reverse_complement(donor[-tip:])
        if left:
            codes[:tip] = end
        else:
            codes[-tip:] = reverse_complement(end)
    centre = int(rng.uniform(0.12, 0.88) * length)
    genome.paste(rng, codes, centre)
    substitute(rng, codes, stage.substitute)
    most = max(resolutions)
    n = -(-length // most)
    full = np.full(n * most, GAP, dtype=np.uint8)
    full[:length] = codes
    where = Chromosome(length, centre)
    targets = {}
    for r in resolutions:
        y = np.full((n * most // r, n * most // r), np.nan, dtype=np.float32)
        real = -(-length // r)
        y[:real, :real] = teacher.predict(where, r, real)
        targets[r] = y
    if rng.random() < 0.5:
        return reverse_complement(full), flipped(targets)
    return full, targets


def draw_zoom(
    rng: np.random.Generator, item: Encoded, resolutions: tuple[int, ...], base_bin: int, bins: int
) -> tuple[Tensor, dict[int, int], dict[int, np.ndarray]]:
    """A random zoom series in one encoded chromosome.

    Returns
    -------
    base encodings (width, bins * top / base_bin) of the top window; window starts by resolution, in bins from the start
    of the top window; targets by resolution, (bins, bins) with NaN outside the chromosome.
    """
    top = resolutions[0]
    n = item.targets[top].shape[0]
    slack = max(8, bins // 8)
    low, high = (n - bins - slack, slack) if n < bins else (-slack, n - bins + slack)
    # prediction puts a small chromosome at bin 0 of its window: half of the draws do the same
    first = int(rng.integers(low, high + 1)) if n >= bins or rng.random() < 0.5 else 0
    f = top // base_bin
    base = item.window(first * f, bins * f)
    starts = {top: 0}
    for parent, r in zip(resolutions, resolutions[1:]):
        for _ in range(20):
            s = 2 * (starts[parent] + int(rng.integers(0, bins // 2 + 1)))
            at = s + first * (top // r)
            if min(at + bins, item.targets[r].shape[0]) - max(at, 0) >= bins // 2:
                break
        starts[r] = s
    ys = {}
    for r, s in starts.items():
        at, m = s + first * (top // r), item.targets[r].shape[0]
        y = np.full((bins, bins), np.nan, dtype=np.float32)
        a, b = max(0, -at), min(bins, m - at)
        if a < b:
            y[a:b, a:b] = item.targets[r][at + a : at + b, at + a : at + b]
        ys[r] = y
    return base, starts, ys
