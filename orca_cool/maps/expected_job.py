"""What ``orca-cool expected`` does: expected by distance of a measured map, as a folder of
tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from orca_cool import __version__
from orca_cool.locks import holding
from orca_cool.maps.expected_files import check_target, save_expected
from orca_cool.maps.expected_fit import FINE, KEEP, MIN_PIXELS, fit, select_regions
from orca_cool.maps.open import open_map

#: Makes a progress bar with a name: a context manager that gives what is called with (done, total).
Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


@dataclass(frozen=True, kw_only=True)
class ExpectedJob:
    """Measure contact frequency by distance on a balanced map.

    Attributes
    ----------
    observed : .cool or .mcool. output : folder to be made.
    resolutions : in bp; none: all of the file.
    trans : also the frequency between chromosomes, at the coarsest of the resolutions.
    monotone : never let it rise with distance; None: only where there is trans.
    exclude : chromosomes that must not enter (those held out). view : BED of regions to measure in.
    keep : distances up to so many bp stay as measured; min_pixels : valid pixels a distance needs.
    wide_from : from so many bp on the wide of the two spans smooths.
    clr_weight_name : column of balancing weights. nproc : processes that read.
    force : replace a folder of expected tables that is there.
    """

    observed: str
    output: str
    resolutions: tuple[int, ...] = ()
    trans: bool = False
    monotone: bool | None = None
    exclude: tuple[str, ...] = ()
    view: str | None = None
    keep: int = KEEP
    min_pixels: int = MIN_PIXELS
    wide_from: int = FINE
    clr_weight_name: str = "weight"
    nproc: int = 1
    force: bool = False

    @holding(lambda job: [job.output])
    def run(self, bar: Bar) -> Path:
        """Measure every resolution, the coarsest first, and write the folder.

        Raises
        ------
        CoolerError, RegionError, OutputError
        """
        check_target(self.output, self.force)
        file = open_map(self.observed, self.clr_weight_name)
        # the coarsest first: it is read in no time, and has the trans value, so that what is wrong
        # shows early; and all before anything is computed
        levels = sorted(set(self.resolutions) or file.resolutions, reverse=True)
        for resolution in levels:
            file.uri(resolution)
        chosen = {r: file.balanced(r) for r in levels}
        view = None if self.view is None else Path(self.view)
        regions = {r: select_regions(clr, list(self.exclude), view) for r, clr in chosen.items()}
        fits = []
        for r, clr in chosen.items():
            with bar(f"{r} bp") as report:
                fits.append(
                    fit(
                        clr,
                        regions[r],
                        trans=self.trans and r == max(chosen),
                        monotone=self.monotone,
                        keep=self.keep,
                        min_pixels=self.min_pixels,
                        wide_from=self.wide_from,
                        nproc=self.nproc,
                        show=report,
                    )
                )
        finest = regions[min(chosen)]
        chroms: Sequence[str] = list(dict.fromkeys(region.chrom for region in finest))
        about = {
            "generated_by": f"orca-cool {__version__}",
            "source": Path(self.observed.partition("::")[0]).name,
            "chromosomes": chroms,
            "excluded": list(self.exclude),
            "view": [str(region) for region in finest] if self.view else None,
            "settings": {
                "keep": self.keep,
                "min_pixels": self.min_pixels,
                "wide_from": self.wide_from,
                "clr_weight_name": self.clr_weight_name,
            },
        }
        return save_expected(self.output, fits, about, force=self.force)
