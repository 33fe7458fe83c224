"""Peaks and features of a training run: the intervals from which profiles are learnt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from orca_cool.errors import TrainingError
from orca_cool.genome.intervals import Interval, read_intervals
from orca_cool.genome.source import SequenceSource
from orca_cool.train.settings import Config

#: Profile made of the features: the middle between a gene on + and the next on -.
CONVERGENT = "convergent"


def read_peaks(config: Config, source: SequenceSource, training: Sequence[str]) -> list[Interval]:
    """Every interval of the profiles on training and validation chromosomes.

    Those of test chromosomes are never kept; of ``factors``, only profiles with enough peaks on the
    ``training`` chromosomes.
    """
    kept = (*training, *config.validation)
    found: list[Interval] = []
    if config.features:
        features = _read(config, source, kept, config.features, 6, "")
        found += [i for i in features if i.kind in config.feature_types]
        if CONVERGENT in config.feature_types:
            found += convergent(i for i in features if i.kind == "gene")
    for kind, path in config.peaks.items():
        found += _read(config, source, kept, path, None, kind)
    if config.factors:
        peaks = _read(config, source, kept, config.factors, 3, "")
        count = Counter(i.kind for i in peaks if i.chrom in training)
        found += [i for i in peaks if count[i.kind] >= config.min_peaks]
    return found


def _read(
    config: Config,
    source: SequenceSource,
    kept: Sequence[str],
    path: str,
    column: int | None,
    kind: str,
) -> list[Interval]:
    """A file's intervals on the chromosomes ``kept``; an error if its names are not the
    genome's.
    """
    table = read_intervals(config.path(path), chroms=source.chromsizes, column=column, kind=kind)
    table = table[table["chrom"].isin(list(kept))]
    return [Interval(*row) for row in table.itertuples(index=False)]


def profile_names(
    config: Config, intervals: Iterable[Interval], training: Sequence[str]
) -> list[str]:
    """Names of the profiles: features in their order, named peaks, then factors by name.

    Raises
    ------
    TrainingError
        If a profile has no interval on the training chromosomes, or a weight is given for none.
    """
    there = {i.kind for i in intervals if i.chrom in training}
    first = [k for k in (*config.feature_types, *config.peaks) if k in there]
    for k in (*config.feature_types, *config.peaks):
        if k not in there:
            raise TrainingError(f"profile {k!r} has no interval on the training chromosomes")
    names = first + sorted(there - set(first))
    for k in config.profile_weights:
        if k not in names:
            raise TrainingError(
                f"profile_weights names {k!r}, which is no profile; there are: "
                f"{', '.join(names) or 'none'}"
            )
    return names


def centromeres(config: Config, source: SequenceSource, training: Sequence[str]) -> list[Interval]:
    """The features of type "centromere" on the training chromosomes."""
    if not config.features:
        return []
    features = _read(config, source, training, config.features, 6, "")
    return [i for i in features if i.kind == "centromere"]


def negatives(config: Config, source: SequenceSource, training: Sequence[str]) -> list[Interval]:
    """Places on the training chromosomes that look like a centromere and are none."""
    if not config.negatives:
        return []
    return _read(config, source, training, config.negatives, None, "negative")


def blacklisted(config: Config, source: SequenceSource) -> list[Interval]:
    """What windows of one chromosome must not overlap."""
    if not config.blacklist:
        return []
    return _read(config, source, list(source.chromsizes), config.blacklist, None, "blacklist")


def convergent(genes: Iterable[Interval]) -> list[Interval]:
    """One base between each gene on + and the next gene if that is on -."""
    chroms: dict[str, list[Interval]] = {}
    for i in genes:
        chroms.setdefault(i.chrom, []).append(i)
    found = []
    for chrom, mine in chroms.items():
        mine.sort(key=lambda i: i.start)
        for a, b in zip(mine, mine[1:]):
            if a.strand == "+" and b.strand == "-":
                middle = (a.end + b.start) // 2
                found.append(Interval(chrom, middle, middle + 1, CONVERGENT))
    return found
