"""The shipped model of the simulated world: on a chromosome that it never saw, with its two cell
types.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import orca_cool as oc

ROOT = Path(__file__).parents[2]
DATA = ROOT / "orca_cool" / "data"
sys.path.insert(0, str(ROOT / "scripts" / "world"))

import rules  # noqa: E402

GENOME, CHROM, LENGTH = "extrusion-example", "chr70", 4_000_000
TYPES = ("a", "b")


@pytest.fixture(scope="module", params=TYPES)
def predictor(request) -> oc.Predictor:
    return oc.Predictor("extrusion", GENOME, cell_type=request.param, progress=False)


def test_it_is_a_simulation_and_says_so(predictor):
    model = predictor.model
    assert model.cell_types == TYPES
    assert "simulat" in model.spec.organism
    assert model.licence == "MIT"
    assert max(model.spec.window(r) for r in model.levels) >= 2_000_000
    assert min(model.levels) == 4000
    size = sum(f.stat().st_size for f in (DATA / "models" / "extrusion").iterdir())
    assert size < 15e6


#: r of docs/extrusion.md on the example's chromosome at 16 kb.
SHIPPED = {"a": 0.705, "b": 0.699}


def test_it_predicts_a_chromosome_that_it_never_saw(predictor, tmp_path):
    cell_type = predictor.model.spec.cell_type
    (out, *_) = predictor.to_mcool(tmp_path / "p.mcool", regions=[CHROM], levels="16000")
    measured = DATA / "maps" / f"extrusion.{cell_type}.mcool"
    result = oc.evaluate_files(out, measured, [CHROM], base=4000, ceiling=False, progress=False)
    assert result.scores[0].r == pytest.approx(SHIPPED[cell_type], abs=0.005)


def test_a_chromosome_and_its_reverse_complement_are_predicted_alike(predictor):
    turned = predictor.edit(f"{CHROM}:0-{LENGTH} inv")
    # the finest level once: both cell types are decoded from the same encodings
    for resolution in (16_000, 4000) if predictor.model.spec.cell_type == "a" else (16_000,):
        region = f"{CHROM}:0-{LENGTH}"
        a = predictor.predict(region, resolution).values
        b = turned.predict(region, resolution).values[::-1, ::-1]
        known = np.isfinite(a) & np.isfinite(b)
        assert known.mean() > 0.1
        np.testing.assert_allclose(a[known], b[known], atol=2e-3)


def test_its_profiles_tell_the_strands_of_sites_apart(predictor):
    """Of the bins with a site of 16 bits or more on one strand alone, found with the matrix, nearly
    all have a higher probability for that strand. Chance is 0.5.
    """
    codes = predictor.genome.source.fetch(CHROM, 0, LENGTH)
    there = np.zeros((2, LENGTH // 4000), bool)
    for strand, score in enumerate(rules.ctcf_scores(codes)):
        there[strand, (np.flatnonzero(score >= 16) + 9) // 4000] = True
    one = there[0] ^ there[1]
    found = predictor.profiles(f"{CHROM}:0-{LENGTH}")
    higher = found["CTCF_16_bits(+)"] > found["CTCF_16_bits(-)"]
    assert one.sum() > 50
    assert (np.asarray(higher)[one] == there[0][one]).mean() > 0.95


def lone_sites(codes: np.ndarray) -> list[int]:
    """Starts of sites in the middle of the chromosome without another within 20 kb, strongest
    first; found with the matrix, not by the model.
    """
    scores = rules.ctcf_scores(codes).max(axis=0)
    starts = np.flatnonzero(scores >= rules.LEAST)
    return [
        int(s)
        for s in starts[np.argsort(-scores[starts])]
        if 400_000 < s < LENGTH - 400_000 and (np.abs(starts - s) < 20_000).sum() == 1
    ]


def test_what_insulates_are_the_bases_of_the_site_as_the_matrix_weighs_them():
    """The two strongest sites, one on each strand: the ten bases of 200 that matter most are theirs,
    hold the boundary (less contact across it), and matter as the matrix's information says.
    """
    predictor = oc.Predictor("extrusion", GENOME, cell_type="a", progress=False)
    codes = predictor.genome.source.fetch(CHROM, 0, LENGTH)
    information = (rules.LOG_ODDS * 2**rules.LOG_ODDS / 4).sum(axis=1)
    strands = set()
    for at in lone_sites(codes)[:2]:
        site, reverse = slice(90, 109), int(rules.ctcf_scores(codes[at : at + 19]).argmax())
        found = oc.attribute.gradient(
            predictor, f"{CHROM}:{at - 90}-{at + 110}", f"insulation {CHROM}:{at + 9}"
        )
        share = np.asarray(found.projected)
        assert set(np.argsort(-np.abs(share))[:10]) <= set(range(site.start, site.stop))
        own = -share[site][:: -1 if reverse else 1]
        assert own.sum() > 0
        assert np.corrcoef(own, information)[0, 1] > 0.6
        strands.add(reverse)
    assert strands == {0, 1}


def across(values: np.ndarray, at: int, side: int = 10) -> float:
    """Mean log observed/expected of the contacts across a bin."""
    return float(np.nanmean(values[at - side : at - 1, at + 2 : at + side + 1]))


def test_deleting_the_strongest_sites_removes_their_boundaries(predictor):
    """Contacts across a deleted strong site rise; across a deleted stretch without a site they do
    not. The places are found with the matrix, not by the model.
    """
    codes = predictor.genome.source.fetch(CHROM, 0, LENGTH)
    there, none = [], []
    for s in lone_sites(codes)[:3]:
        start = max(0, s + 9 - 256_000) // 4000 * 4000
        region = f"{CHROM}:{start}-{start + 512_000}"
        before = predictor.predict(region, 4000).values  # shows the control too
        for at, found in ((s, there), (s + 12_000, none)):
            edited = predictor.edit(f"{CHROM}:{at}-{at + 19} del")
            after = edited.predict(region, 4000).values
            k = (at + 9 - start) // 4000
            found.append(across(after, k) - across(before, k))
    assert np.median(there) > 0.05
    assert np.median(np.abs(none)) < 0.3 * np.median(there)
