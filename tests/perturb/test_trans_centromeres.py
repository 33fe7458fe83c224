"""Known truth between chromosomes: centromeres of yeast meet, and `yeast-deep`, which never read chrI
and chrII in training, holds their contact to the centromeres. The figures of docs/attribution.md
and docs/screens.md.
"""

from __future__ import annotations

import numpy as np
import pytest

import orca_cool as oc

CEN1, CEN2 = ("chrI", 151_466, 151_584), ("chrII", 238_208, 238_325)
OBJECTIVE = "pixel chrI:151,523 chrII:238,265"


@pytest.mark.slow
def test_a_contact_between_centromeres_hangs_on_both():
    p = oc.Predictor("yeast-deep", "example", progress=False)
    for chrom, start, end in (CEN1, CEN2):
        middle = (start + end) // 2
        found = oc.attribute.gradient(p, f"{chrom}:{middle - 2_000}-{middle + 2_000}", OBJECTIVE)
        assert found.value > 0.5  # they meet
        assert sum(start <= at < end for at in found.top(12)) >= 10
        sizes = np.abs(found.projected)
        at = start - found.region.start
        assert sizes[at : at + end - start].sum() > 0.4 * sizes.sum()


@pytest.mark.slow
def test_units_of_a_centromere_hold_contacts_with_another_chromosome():
    found = oc.screen.local(
        "chrII:238,125-238,405",
        between="chrI",
        unit=20,
        per_sequence=1,
        runs=1,
        model="yeast-deep",
        genome="example",
        progress=False,
    )
    table = found.table
    inside = (table["start"] >= 238_205) & (table["end"] <= 238_325)
    assert inside.sum() == 6
    assert found.top(4)["start"].between(238_205, 238_305).all()
    assert table["score"][inside].max() > 0.4
    assert table["score"][~inside].max() < 0.1
