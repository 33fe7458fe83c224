"""Which option was probably meant by one that a verb does not have."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

#: What other programs call an option, or version 0.1 did; of those named, what the verb has is
#: suggested.
MEANT = {
    "haplotype": ("genotype",),
    "zygosity": ("genotype",),
    "het": ("genotype",),
    "fasta": ("genome",),
    "reference": ("genome",),
    "ref": ("genome",),
    "assembly": ("genome",),
    "weights": ("model", "clr-weight-name"),
    "models": ("model",),
    "region": ("view",),
    "regions": ("view",),
    "bed": ("view", "sites"),
    "target": ("cell-type",),
    "tissue": ("cell-type",),
    "workers": ("nproc",),
    "threads": ("nproc",),
    "cores": ("nproc",),
    "cpus": ("nproc",),
    "jobs": ("nproc",),
    "gpu": ("device",),
    "cuda": ("device",),
    "resolution": ("levels",),
    "resolutions": ("levels", "resolution"),
    "binsize": ("levels", "resolution"),
    "overwrite": ("force",),
    "cache": ("store", "window-store"),
    "outdir": ("output",),
    "spread": ("strand-difference",),
    "frame": ("lift-to-reference",),
}


def options_meant(wrong: str, options: Sequence[str]) -> list[str]:
    """The options that may have been meant, the likeliest first; none if none is close.

    Parameters
    ----------
    wrong : as it was typed, with its dashes. options : of the verb, with theirs.

    Examples
    --------
    >>> options_meant("--haplotype", ["--cell-type", "--dtype", "--genotype"])
    ['--genotype']
    """
    name = wrong.lstrip("-").lower().replace("_", "-")
    names = {option.lstrip("-"): option for option in options if option.startswith("--")}
    meant = [other for other in MEANT.get(name, ()) if other in names]
    if not meant:
        longer = [other for other in names if len(name) > 2 and other.startswith(name)]
        meant = longer or difflib.get_close_matches(name, names, n=3, cutoff=0.7)
    return [names[other] for other in meant]
