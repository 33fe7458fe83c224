"""A known truth: what a screen of the yeast model finds around a centromere is the centromere."""

from __future__ import annotations

import pytest

import orca_cool as oc

#: CEN2 of the yeast genome, 0-based.
CEN2 = (238_208, 238_325)


@pytest.mark.slow
def test_the_strongest_units_around_cen2_lie_in_it():
    found = oc.screen.local(
        "chrII:238,120-238,420",
        model="yeast-metaphase",
        genome="example",
        resolution=8000,
        unit=20,
        per_sequence=1,
        runs=3,
        device="cpu",
        progress=False,
    )
    table, top = found.table, found.top(3)
    assert len(table) == 15
    assert ((top["end"] > CEN2[0]) & (top["start"] < CEN2[1])).all()
    outside = table[(table["end"] <= CEN2[0]) | (table["start"] >= CEN2[1])]
    assert len(outside) == 8
    assert top["score"].min() > 2 * outside["score"].max()
