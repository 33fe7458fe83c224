"""A known truth: in the simulated genome sites of CTCF are what insulates, on either strand."""

from __future__ import annotations

import pytest

import orca_cool as oc

#: A site of 26 bits of the matrix MA0139.1, chr70:973,579-973,598, and a place far from any.
CTCF, PLACE = "TGGCCACCAGGGGGCGCTA", 2_330_000


@pytest.mark.slow
def test_a_ctcf_site_insulates_wherever_it_is_put(tmp_path):
    (tmp_path / "ctcf.fa").write_text(f">CTCF\n{CTCF}\n")
    (tmp_path / "sites.bed").write_text(f"chr70\t{PLACE}\t{PLACE + 1}\n")
    genome = oc.open_genome("extrusion-example")
    assert genome.fetch("chr70", 973_579, 973_598) == CTCF
    found = oc.screen.insert(
        [tmp_path / "ctcf.fa", f"shuffle:{tmp_path / 'ctcf.fa'}"],
        tmp_path / "sites.bed",
        model="extrusion",
        genome="extrusion-example",
        cell_type="a",
        orientations="+,-",
        scores="row,insulation_at",
        device="cpu",
        progress=False,
    ).table
    its, others = found[found["source"] == "CTCF"], found[found["source"] == "shuffle:CTCF"]
    assert its["insulation_at"].max() < -0.03  # log2; stated so that it outlives a new training
    assert its["row"].min() > 10 * others["row"].max()
    assert its["insulation_at"].abs().min() > 10 * others["insulation_at"].abs().max()
