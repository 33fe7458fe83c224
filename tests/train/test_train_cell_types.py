"""Training on the maps of several cell types at once, encodings of a frozen encoder that are kept,
and profiles of two strands.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cooler
import numpy as np
import pytest
import torch
from toy_training import toy_config

from orca_cool.errors import ModelError, TrainingError
from orca_cool.genome.open import open_genome
from orca_cool.genome.source import reverse_complement
from orca_cool.maps.expected_fit import fit_expected
from orca_cool.model.bundle import load_bundle
from orca_cool.model.cascade import Orca
from orca_cool.train.batch import Sample, collate
from orca_cool.train.config import parse_config
from orca_cool.train.net import StageNet, set_trained
from orca_cool.train.run import Run, train
from orca_cool.train.samples import TRAIN, VALIDATION


def two_maps(folder: Path) -> dict[str, Any]:
    """The toy configuration with its second stage alone, and a second map of other contacts."""
    data = toy_config(folder)
    c = cooler.Cooler(f"{folder / 'm.mcool'}::resolutions/2000")
    bins, pixels = c.bins()[:], c.pixels()[:]
    pixels["count"] *= np.random.default_rng(2).integers(1, 5, len(pixels))
    cooler.create_cooler(str(folder / "n.cool"), bins, pixels)
    data["maps"]["n"] = "n.cool"
    data["stages"] = [data["stages"][1]]
    return data


def run_of(data: dict[str, Any], folder: Path) -> Run:
    return Run(parse_config(data, folder), folder / "run", open_genome(folder / "g.fa"))


def test_a_sample_has_the_target_of_each_cell_type(tmp_path):
    data = two_maps(tmp_path)
    both = run_of({**data, "cell_types": ["m", "n"]}, tmp_path).data(0)
    for k, name in enumerate("mn"):
        alone = run_of({**data, "target": name}, tmp_path).data(0)
        for key in [(TRAIN, 0, 0), (TRAIN, 3, 1), (VALIDATION, 0, 1)]:
            a, b = both[key], alone[key]
            assert isinstance(a, Sample)
            assert isinstance(b, Sample)
            assert a.where.split(" ")[1:] == b.where.split(" ")[1:]
            np.testing.assert_array_equal(a.codes, b.codes)
            for r, y in b.targets.items():
                assert a.targets[r].shape == (2, 16, 16)
                np.testing.assert_array_equal(a.targets[r][k], y[0])


def test_the_trained_model_has_them_with_their_expected(tmp_path):
    data = {**two_maps(tmp_path), "cell_types": ["m", "n"]}
    path = train(parse_config(data, tmp_path), tmp_path / "run")
    assert path is not None
    model = load_bundle(path)
    assert model.cell_types == ("m", "n")
    assert model.model.decoders["64k"]["2000"].final[3].out_channels == 2  # type: ignore[index,union-attr]
    for name, uri in (("m", "m.mcool::resolutions/2000"), ("n", "n.cool")):
        plain = fit_expected(cooler.Cooler(f"{tmp_path}/{uri}"), ["c1", "c2"], keep=16_000)
        own = model.for_cell_type(name).expected(model.spec.module("64k"))
        np.testing.assert_allclose(own.cis, plain.cis)
    (row, *_) = csv.DictReader((tmp_path / "run" / "log-two.csv").read_text().splitlines())
    assert float(row["r2000"]) == pytest.approx(
        np.mean([float(row["r2000_m"]), float(row["r2000_n"])]), abs=1e-4
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell_types": ["m", "k"]}, "cell type 'k' is not among the maps: m, n"),
        ({"cell_types": ["m", "n"], "target": "n"}, "target 'n': a model of several cell types"),
        ({"cell_types": ["m", "n"], "expected": "x"}, "expected: of several cell types"),
        ({"cell_types": ["m"]}, "two or more different names"),
    ],
)
def test_wrong_choices_are_told(tmp_path, change, message):
    data = two_maps(tmp_path)
    with pytest.raises((TrainingError, ModelError), match=message):
        run_of({**data, **change}, tmp_path)


def test_kept_encodings_are_those_of_the_sequence(tmp_path):
    """A stage with a frozen encoder, no shift and a flank as long as its context: the same numbers
    and gradients as from the windows' sequence, and each stretch is encoded once.
    """
    data = two_maps(tmp_path)
    data["stages"][0] |= {"shift": 0, "flank": 20_000, "overhang": 0.25}
    run = run_of(data, tmp_path)
    samples = run.data(0)
    assert samples.encodings_kept
    keys = [(TRAIN, 0, i) for i in range(6)]
    kept = collate([samples[k] for k in keys])
    samples.encodings_kept = False
    plain = collate([samples[k] for k in keys])
    assert {p.strand for (p,) in kept.pieces} == {"+", "-"}  # type: ignore[union-attr]
    torch.manual_seed(1)
    model = Orca(run.spec)
    learning = set_trained(model, samples.module, run.parts(samples.stage))
    tables = [samples.expected_tables["m"]]
    net = StageNet(model, samples.module, learning, tables, flank=20_000)
    net.keep_encodings(run.source)
    found = {}
    for name, batch in (("kept", kept), ("plain", plain)):
        net.eval()
        maps, _ = net(batch)
        net.zero_grad()
        sum(y.square().mean() for y in maps.values()).backward()
        grads = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
        found[name] = maps, grads
    for r, y in found["plain"][0].items():
        np.testing.assert_allclose(
            found["kept"][0][r].detach().numpy(), y.detach().numpy(), atol=2e-5
        )
    np.testing.assert_allclose(found["kept"][1].numpy(), found["plain"][1].numpy(), atol=2e-4)
    encoded = net._kept._cache.encoded  # type: ignore[union-attr]
    net(kept)
    assert net._kept._cache.encoded == encoded > 0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change", [{"shift": 200}, {"flank": 2000}, {"substitute": 0.1}, {"train": ["p", "encoder"]}]
)
def test_encodings_are_not_kept_where_they_change(tmp_path, change):
    data = two_maps(tmp_path)
    data["stages"][0] |= {"shift": 0, "flank": 20_000} | change
    assert not run_of(data, tmp_path).data(0).encodings_kept


def test_profiles_of_two_strands_change_places_on_the_reverse_complement(tmp_path):
    data = toy_config(tmp_path)
    data["stages"] = [{**data["stages"][0], "shift": 0}]
    path = tmp_path / "sites.bed"
    path.write_text("".join(f"c1\t{a}\t{a + 19}\tS(+)\n" for a in range(3_000, 60_000, 9_000)))
    with path.open("a") as out:
        out.writelines(f"c1\t{a}\t{a + 19}\tS(-)\n" for a in range(5_000, 60_000, 13_000))
        out.writelines(f"c1\t{a}\t{a + 19}\tT\n" for a in range(7_000, 60_000, 11_000))
    data |= {"peaks": {}, "feature_types": [], "factors": "sites.bed", "min_peaks": 1}
    samples = run_of(data, tmp_path).data(0)
    names = list(samples.spec.profiles)
    assert names == ["S(+)", "S(-)", "T"]
    assert samples.spec.profiles_of_reverse == [1, 0, 2]
    seen = set()
    for i in range(30):
        s = samples[TRAIN, 0, i]
        assert isinstance(s, Sample)
        chrom, _, rest = s.where.partition(" ")[2].partition(":")
        if chrom != "c1":
            continue
        start = int(rest[: rest.index("-", 1)].replace(",", ""))
        first = start // 2000
        wanted = np.zeros((3, 16), np.float32)
        for line in path.read_text().splitlines():
            _, a, b, kind = line.split("\t")
            for k in range(int(a) // 2000, (int(b) - 1) // 2000 + 1):
                if 0 <= k - first < 16:
                    wanted[names.index(kind), k - first] = 1
        if rest.endswith("(-)"):
            wanted = wanted[[1, 0, 2], ::-1]
        np.testing.assert_array_equal(s.labels > 0, wanted > 0)
        seen.add(rest[-2])
    assert seen == {"+", "-"}


def strands(folder: Path, **stage: Any) -> Run:
    """A run of profiles alone: of two strands, and of one that knows none."""
    data = toy_config(folder)
    lines = [f"c1\t{a}\t{a + 19}\tS(+)\n" for a in range(3_000, 60_000, 9_000)]
    lines += [f"{c}\t5000\t5019\tS(-)\n" for c in ("c1", "c2", "c3", "c4")]
    lines += [f"c2\t{a}\t{a + 19}\tT\n" for a in range(7_000, 30_000, 11_000)]
    (folder / "sites.bed").write_text("".join(lines))
    data |= {"peaks": {}, "feature_types": [], "factors": "sites.bed", "min_peaks": 1}
    plain = {"name": "profiles", "window": 4_000, "steps": 2, "batch": 2, "validation": 2}
    return run_of({**data, "emphasis": 0.7, "stages": [{**plain, **stage}]}, folder)


def test_a_bin_with_the_other_strand_weighs_as_a_positive(tmp_path):
    run = strands(tmp_path)
    model, positive = run.model(), run.positive(run.data(0).stage)
    learning = set_trained(model, None, ("encoder", "profiles"))
    net = StageNet(model, None, learning, [], positive=positive)
    labels = torch.tensor([[[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 0]]]).float()
    logits = torch.randn((1, 3, 4), generator=torch.Generator().manual_seed(1))
    either = np.array([[1, 1, 0, 1], [1, 1, 0, 1], [0, 0, 1, 0]], bool)
    p, y = 1 / (1 + np.exp(-logits[0].double().numpy())), labels[0].numpy()
    plain = -np.where(y > 0, np.log(p), np.log(1 - p))
    wanted = (plain * np.where(either, positive[:, None], 1)).sum(axis=1)
    assert positive.min() > 1
    np.testing.assert_allclose(net.profile_sums(logits, labels)[0].numpy(), wanted, rtol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_windows_are_drawn_around_intervals_as_often_as_asked(tmp_path, share):
    """First a profile, each as likely, then an interval: those of chromosomes that are not trained
    on are none of them.
    """
    run = strands(tmp_path, around=share)
    samples = run.data(0)
    held = np.zeros(3)
    for i in range(300):
        s = samples[TRAIN, 0, i]
        assert isinstance(s, Sample)
        assert s.where.partition(":")[0] in ("c1", "c2")
        there = s.labels.max(axis=1) > 0  # type: ignore[union-attr]
        turned = s.where.endswith("(-)")
        held += there[[1, 0, 2]] if turned else there
    assert (held / 300 >= share / 3 - 0.1).all()
    if share == 1:
        assert held.sum() >= 300


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"around": 1.5}, "around must be a share from 0 to 1, not 1.5"),
        ({"around": 0.5, "module": "64k"}, "is for stages of profiles alone; this one learns maps"),
    ],
)
def test_shares_around_intervals_that_make_no_sense(tmp_path, stage, message):
    with pytest.raises(TrainingError, match=message):
        strands(tmp_path, **stage)


def test_an_engine_turns_the_profiles_of_the_reverse_strand(toy_spec):
    """A profile head that finds one motif on the + strand alone calls the other where the reverse
    complement holds it; the mean of both strands is then the same for both.
    """
    from conftest import Drawn, make_toy_expected, make_toy_model

    from orca_cool.model.bundle import Model
    from orca_cool.prediction.orca_engine import OrcaEngine

    spec = toy_spec(profiles=("S(+)", "S(-)"))
    model = Model(spec, make_toy_model(spec), make_toy_expected(spec), "0" * 64, Path("toy"))
    genome = Drawn({"c1": 4000}, ("c1", 0, 0))
    turned = Drawn({"c1": 4000}, ("c1", 0, 0))
    turned.codes["c1"] = reverse_complement(genome.codes["c1"])
    a = OrcaEngine(model, genome, "cpu").profiles("c1", 20, 60)  # type: ignore[arg-type]
    b = OrcaEngine(model, turned, "cpu").profiles("c1", 20, 60)  # type: ignore[arg-type]
    np.testing.assert_allclose(a, b[::-1, ::-1], atol=1e-5)
    assert np.abs(a[0] - a[1]).max() > 1e-3
