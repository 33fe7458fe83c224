"""Models of several cell types: bundles, errors, fast forms and engines against plain ones."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Drawn, make_toy_model, make_toy_spec
from reference import plain
from safetensors.torch import load_file

from orca_cool.errors import BundleError, ModelError
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.source import one_hot, reverse_complement
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import Model, load_bundle, save_bundle
from orca_cool.model.cascade import Orca, flip_map, mirror
from orca_cool.model.decoder import Decoder
from orca_cool.model.fast.decoder import FastCascade, FastDecoder
from orca_cool.model.header import VERSION, numbers_digest
from orca_cool.model.spec import ModelSpec
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.orca_engine import OrcaEngine
from orca_cool.prediction.windows import by_root, concatenated_chromosomes, plan

#: Not in the order of the alphabet: what sorts them is found out.
NAMES = ("T-ALL_b", "K562", "a.1+2")
TOP, MIDDLE, FINE = 160, 80, 40


def spec_of(names: Sequence[str], **changes) -> ModelSpec:
    return make_toy_spec(cell_types=tuple(names), cell_type="", **changes)


def tables_of(names: Sequence[str]) -> dict[str, dict[int, ExpectedModel]]:
    """Power laws of other exponents for each cell type: at 40 bp without trans, at 160 bp with."""
    tables = {}
    for k, name in enumerate(names):
        distance = np.arange(2000)
        cis = (0.1 + 0.02 * k) / (1.0 + distance) ** (0.7 + 0.2 * k)
        wide = cis[::4].copy()
        wide[400:] = np.nan
        tables[name] = {40: ExpectedModel(40, cis), 160: ExpectedModel(160, wide, 1e-5 * (k + 2))}
    return tables


def make(folder: Path, names: Sequence[str], seed: int = 1) -> Model:
    model = make_toy_model(spec_of(names), seed)
    return load_bundle(save_bundle(folder / "several", model, by_cell_type=tables_of(names)))


@pytest.fixture
def several(tmp_path: Path) -> Model:
    return make(tmp_path, NAMES)


# ---- files


@pytest.mark.parametrize("count", [2, 3])
def test_round_trip(tmp_path: Path, count: int):
    names = NAMES[:count]
    model, tables = make_toy_model(spec_of(names)), tables_of(names)
    given = {name: tables[name] for name in reversed(names)}  # the specification's order counts
    bundle = load_bundle(save_bundle(tmp_path / "m", model, by_cell_type=given))
    assert (bundle.spec, bundle.cell_types) == (model.spec, names)
    state = bundle.model.state_dict()
    assert state.keys() == model.state_dict().keys()
    for key, value in model.state_dict().items():
        assert torch.equal(state[key], value), key
    assert list(bundle.by_cell_type) == list(names)
    assert bundle.expected_tables == {}
    for name, own in tables.items():
        assert set(bundle.by_cell_type[name]) == set(own)
        for resolution, wanted in own.items():
            found = bundle.by_cell_type[name][resolution]
            np.testing.assert_array_equal(found.cis, wanted.cis)
            assert (found.resolution, found.trans) == (resolution, wanted.trans)
    for module, resolution in (("S", 40), ("G", 160), ("B", 40)):
        found = bundle.every_expected(bundle.spec.module(module))
        for name, table in zip(names, found, strict=True):
            np.testing.assert_array_equal(table.cis, tables[name][resolution].cis)
            assert table.trans == tables[name][resolution].trans


def test_what_is_written(several: Model):
    header = json.loads((several.path / "model.json").read_text())
    assert (header["version"], VERSION) == (3, 3)
    assert header["spec"]["cell_types"] == list(NAMES)
    wanted = [
        {"resolution": r, "bins": n, "trans": trans, "cell_type": name}
        for name in NAMES
        for r, n, trans in ((40, 2000, False), (160, 500, True))
    ]
    assert sorted(map(str, header["expected"])) == sorted(map(str, wanted))
    tensors = load_file(several.path / "weights.safetensors")
    assert {k for k in tensors if k.startswith("expected.")} == {
        f"expected.{what}.{name}.{r}"
        for name in NAMES
        for what, r in (("cis", 40), ("cis", 160), ("trans", 160))
    }
    assert tensors["decoders.S.40.final.3.weight"].shape == (3, 3, 1, 1)
    assert tensors["decoders.S.40.lcombinerD.0.weight"].shape[1] == 8 + 3
    assert tensors["decoders.S.40.lcombiner.1.weight"].shape[1] == 8 + 3
    assert tensors["base_decoder.final.3.bias"].shape == (3,)
    assert numbers_digest(header) == header["digest"]
    renamed = json.loads(json.dumps(header).replace("K562", "K563"))
    assert numbers_digest(renamed) != header["digest"]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (lambda t: {"by_cell_type": {**t, "HFF": t["K562"]}}, "'HFF'"),
        (lambda t: {"by_cell_type": {k: t[k] for k in NAMES[:2]}}, r"'a\.1\+2' has .* at \[\] bp"),
        (lambda t: {"expected_tables": t["K562"]}, "cell_type"),
    ],
)
def test_tables_of_other_cell_types_are_not_written(tmp_path: Path, tables, message):
    with pytest.raises(ModelError, match=message):
        save_bundle(tmp_path / "m", make_toy_model(spec_of(NAMES)), **tables(tables_of(NAMES)))
    assert not (tmp_path / "m").exists()


def change_header(folder: Path, change) -> None:
    """Change ``model.json`` in place, and keep its digest true, so that only that is wrong."""
    path = folder / "model.json"
    header = json.loads(path.read_text())
    change(header)
    with contextlib.suppress(TypeError):
        header["digest"] = numbers_digest(header)
    path.write_text(json.dumps(header))


def set_names(names) -> object:
    return lambda header: header["spec"].update(cell_types=names)


def unknown(header: dict) -> None:
    header["expected"][0]["cell_type"] = "HFF"


def unnamed(header: dict) -> None:
    del header["expected"][0]["cell_type"]


def twice(header: dict) -> None:
    header["expected"].append(dict(header["expected"][0]))


def without(header: dict) -> None:
    header["expected"] = [e for e in header["expected"] if e["cell_type"] != "K562"]


def other_resolution(header: dict) -> None:
    next(e for e in header["expected"] if e["cell_type"] == "K562")["resolution"] = 80


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (unknown, ["'HFF'", "one of T-ALL_b, K562, a.1+2"]),
        (unnamed, ["cell_type (one of T-ALL_b, K562, a.1+2)", "'resolution': 40"]),
        (twice, ["two expected tables are of one resolution"]),
        (without, ["'K562' has expected tables at [] bp, 'T-ALL_b' at [40, 160] bp"]),
        (other_resolution, ["'K562' has expected tables at [80, 160] bp"]),
        (set_names(["a", "b", "a"]), ["two or more different names", "['a', 'b', 'a']"]),
        (set_names(["K562"]), ["two or more different names", "['K562']"]),
        (set_names(["K562", "a/b"]), ["letters, digits", "'a/b'"]),
        (set_names(["K562", ".."]), ["a letter or digit first", "'..'"]),
        (set_names(["K562", ".a"]), ["a letter or digit first", "'.a'"]),
        (set_names(["K562", ""]), ["letters, digits", "''"]),
        (set_names(["K562", "a b"]), ["letters, digits", "'a b'"]),
        (set_names(["K562", "x" * 101]), ["letters, digits", "'xxx"]),
        (set_names(["K562", 7]), ["a cell type must be a text, not 7"]),
        (set_names(7), ["not understood"]),
        (set_names(["a", "b"]), ["'T-ALL_b'", "one of a, b"]),
    ],
)
def test_damaged_headers(several: Model, change, messages):
    change_header(several.path, change)
    with pytest.raises(BundleError) as raised:
        load_bundle(several.path)
    text = str(raised.value)
    assert "model.json" in text
    assert "\n" not in text
    for message in messages:
        assert message in text


def test_a_map_too_few(several: Model):
    """Names and tables of two cell types, weights of three."""

    def change(header: dict) -> None:
        header["spec"]["cell_types"] = list(NAMES[:2])
        header["expected"] = [e for e in header["expected"] if e["cell_type"] in NAMES[:2]]

    change_header(several.path, change)
    with pytest.raises(BundleError, match=r"unexpected tensors: expected\.cis\.a\.1\+2\.160"):
        load_bundle(several.path)


# ---- which one


def test_a_cell_type_is_chosen(several: Model):
    chosen = several.for_cell_type("K562")
    assert (chosen.spec.cell_type, chosen.spec.map_number) == ("K562", 1)
    assert (chosen.cell_types, chosen.digest) == (NAMES, several.digest)
    assert chosen.model is several.model
    module = chosen.spec.module("G")
    np.testing.assert_array_equal(chosen.expected(module).cis, tables_of(NAMES)["K562"][160].cis)
    assert chosen.for_cell_type("a.1+2").spec.map_number == 2
    assert several.spec.cell_type == ""
    with pytest.raises(ModelError, match=r"'toy' has no cell type 'HFF'; it has: T-ALL_b, K562, a"):
        several.for_cell_type("HFF")


def test_of_one_cell_type(toy_bundle: Model):
    """Its own name chooses what is there; any other is an error."""
    assert toy_bundle.for_cell_type("toy").expected_tables is toy_bundle.expected_tables
    with pytest.raises(ModelError, match="'toy' has no cell type 'HFF'; it has: toy"):
        toy_bundle.for_cell_type("HFF")


@pytest.mark.parametrize(
    "use",
    [
        lambda m: make_engine(m, Drawn({"a": 3000}, ("a", 0, 10)), "cpu"),
        lambda m: m.predict(np.zeros((1, 16 * TOP + 2 * m.context), np.uint8)),
        lambda m: m.expected(m.spec.module("S")),
        lambda m: m.spec.map_number,
    ],
)
def test_none_chosen(several: Model, use):
    with pytest.raises(ModelError) as raised:
        use(several)
    wanted = "model 'toy' has several cell types; choose one of: T-ALL_b, K562, a.1+2"
    assert str(raised.value) == wanted


# ---- fast forms


def off(ours: torch.Tensor, wanted: torch.Tensor) -> float:
    """Largest difference, in standard deviations of what is wanted."""
    assert ours.shape == wanted.shape
    assert ours.dtype == torch.float32
    return float((ours - wanted).abs().max() / wanted.std())


def drawn(seed: int, *shapes: tuple[int, ...]) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=random) for shape in shapes]


def model_of(maps: int, upsample: str = "bilinear", seed: int = 1) -> Orca:
    spec = make_toy_spec() if maps == 1 else spec_of(NAMES[:maps])
    modules = tuple(
        m
        if m.decoder is None
        else dataclasses.replace(m, decoder=dataclasses.replace(m.decoder, upsample=upsample))
        for m in spec.modules
    )
    return make_toy_model(dataclasses.replace(spec, modules=modules), seed)


@pytest.mark.parametrize("upsample", ["bilinear", "nearest"])
@pytest.mark.parametrize("kind", ["top", "zoomed", "one shot"])
@pytest.mark.parametrize("maps", [1, 2, 3])
def test_decoders(maps: int, kind: str, upsample: str):
    """Decoder and FastDecoder against convolutions of the named tensors."""
    model = model_of(maps, upsample, seed=maps)
    decoder = model.base_decoder if kind == "one shot" else model.decoders["S"]["40"]
    assert isinstance(decoder, Decoder)
    x, distance, coarse = drawn(maps, (2, 8, 16), (2, maps, 16, 16), (2, maps, 8, 8))
    inputs = {"top": (x, distance), "zoomed": (x, distance, coarse), "one shot": (x,)}[kind]
    with torch.inference_mode():
        wanted = plain.decoder(
            decoder.state_dict(), decoder.spec.dilations, *inputs, nearest=upsample == "nearest"
        )
        assert wanted.shape == (2, maps, 16, 16)
        assert off(decoder(*inputs), wanted) <= 1e-4
    fast = FastDecoder(decoder)
    ours = (
        fast(x)
        if kind == "one shot"
        else fast(x, fast.prepare(distance), coarse if kind == "zoomed" else None)
    )
    assert off(ours, wanted) <= 1e-4
    assert torch.equal(ours, ours.transpose(2, 3))
    for a, b in itertools.combinations(range(maps), 2):  # maps are not one and the same
        assert off(wanted[:, a], wanted[:, b]) > 0.1


class Zoomed:
    """A FastCascade with the face that ``one_strand`` expects of a model."""

    def __init__(self, cascade: FastCascade):
        self.cascade, self.spec = cascade, cascade.spec
        self.encodings = cascade.encodings

    def decode(self, module, resolution, x, distance, coarse):
        prepared = self.cascade.prepare(module, resolution, distance)
        return self.cascade.decode(module, resolution, x, prepared, coarse)


@pytest.mark.parametrize("name", ["S", "G", "B"])
@pytest.mark.parametrize("maps", [1, 2, 3])
def test_cascades(maps: int, name: str, device: torch.device):
    """With one-shot decoder, of several chromosomes, of the one-shot decoder alone."""
    model = model_of(maps).to(device)
    module, n = model.spec.module(name), model.spec.bins
    top = module.resolutions[0] // model.spec.base_bin
    (base,) = drawn(5, (2, 8, n * top))
    logs = drawn(6, *[(2, maps, n, n)] * len(module.resolutions))
    distances = {r: log.to(device) for r, log in zip(module.resolutions, logs)}
    starts = {r: 5 * (2**k - 1) for k, r in enumerate(module.resolutions)}
    base = base.to(device)
    ours = plain.one_strand(Zoomed(FastCascade(model, device)), module, base, distances, starts)
    with torch.inference_mode():
        wanted = plain.one_strand(model, module, base, distances, starts)
    for r in module.resolutions:
        assert wanted[r].shape == (2, maps, n, n)
        assert off(ours[r], wanted[r]) <= 1e-4


# ---- engines

SIZES = {"a": 6010, "b": 4300, "c": 900}


@pytest.fixture
def genome() -> Drawn:
    return Drawn(SIZES, ("b", 1000, 1400))


def logs(matrices: Sequence[np.ndarray]) -> torch.Tensor:
    """(1, maps, n, n) log expected of all cell types."""
    return torch.from_numpy(np.log(np.stack(matrices)).astype(np.float32))[None]


def engines(bundle: Model, genome: Drawn) -> dict[str, OrcaEngine]:
    return {name: make_engine(bundle.for_cell_type(name), genome, "cpu") for name in NAMES}


def test_zooms(several: Model, genome: Drawn):
    """Of every cell type the zoom that the plain networks make, at every level."""
    module, start = several.spec.module("S"), 3001 - 1280
    starts = {TOP: 0, MIDDLE: 8, FINE: 24}
    tables = tables_of(NAMES).values()
    distances = {r: logs([t[40].expected_matrix(r, 16) for t in tables]) for r in starts}
    codes = genome.fetch("a", start, start + 16 * TOP)
    for k, (name, engine) in enumerate(engines(several, genome).items()):
        wanted = plain.zoom(several.model, module, codes, distances, starts, k)
        maps = engine.zoom(module, "a", 3001)
        assert [m.resolution for m in maps] == [TOP, MIDDLE, FINE]
        for m in maps:
            np.testing.assert_allclose(m.values, wanted[m.resolution].numpy(), atol=1e-4)
            own = tables_of(NAMES)[name][40].expected_matrix(m.resolution, 16)
            np.testing.assert_allclose(m.expected, own)


def test_windows(several: Model, genome: Drawn):
    """All windows of a root, finer ones below whatever coarser one is theirs."""
    module, pad = several.spec.module("S"), 4000
    root = by_root(plan(SIZES["a"], module.resolutions, 16))[1]
    top = root[0][0].start * TOP
    codes = genome.fetch("a", top - pad, top + 16 * TOP + pad)
    tables = tables_of(NAMES).values()
    distances = {
        r: logs([t[40].expected_matrix(r, 16) for t in tables]) for r in module.resolutions
    }
    with torch.inference_mode():
        strands = [
            several.model.encoder(one_hot(c)[None])[..., pad // 40 : -pad // 40]
            for c in (codes, reverse_complement(codes))
        ]
    found = {
        name: {(m.window.resolution, m.window.start): m for m in e.windows(module, "a", root)}
        for name, e in engines(several, genome).items()
    }
    assert root[2]
    for fine in root[2]:
        middle = next(w for w in root[1] if w.start == fine.parent)
        first = root[0][0].start
        starts = {TOP: 0, MIDDLE: middle.start - first * 2, FINE: fine.start - first * 4}
        with torch.inference_mode():
            one = plain.one_strand(several.model, module, strands[0], distances, starts)
            mirrored = mirror(starts, 16, 16)
            two = plain.one_strand(several.model, module, strands[1], distances, mirrored)
        for r, window in ((TOP, root[0][0]), (MIDDLE, middle), (FINE, fine)):
            both, difference = one[r] + flip_map(two[r]), (one[r] - flip_map(two[r])).abs()
            for k, name in enumerate(NAMES):
                got = found[name][r, window.start]
                np.testing.assert_allclose(got.values, 0.5 * both[0, k].numpy(), atol=1e-4)
                np.testing.assert_allclose(
                    got.strand_difference, 0.5 * difference[0, k].numpy(), atol=1e-4
                )


def test_several_chromosomes(several: Model, genome: Drawn):
    """A module that reads chromosomes laid end to end, with the expected of each cell type."""
    module = several.spec.module("G")
    pieces = concatenated_chromosomes("b", SIZES, 16 * 640, 160)
    assert len(pieces) > 1
    laid = [(s.chrom, s.start, s.end, s.strand) for s in pieces]
    codes = EditedGenome(genome, {"layout": pieces}).fetch("layout", 0, 16 * 640)
    by_type = tables_of(NAMES)

    def distances(starts: Mapping[int, int]) -> dict[int, torch.Tensor]:
        return {
            r: logs([t[160].assembled(r, laid, s * r, 16) for t in by_type.values()])
            for r, s in starts.items()
        }

    for k, (name, engine) in enumerate(engines(several, genome).items()):
        maps = engine.zoom(module, "b", 2000)
        starts = {m.resolution: m.start // m.resolution for m in maps}
        assert list(starts) == [640, 320, 160]
        mirrored = mirror(starts, 16, 16)
        with torch.inference_mode():
            forward = several.model.encoder(one_hot(codes)[None])
            reverse = several.model.encoder(one_hot(reverse_complement(codes))[None])
            one = plain.one_strand(several.model, module, forward, distances(starts), starts)
            flipped = {r: flip_map(d) for r, d in distances(mirrored).items()}
            two = plain.one_strand(several.model, module, reverse, flipped, mirrored)
        for m in maps:
            wanted = 0.5 * (one[m.resolution] + flip_map(two[m.resolution]))[0, k].numpy()
            np.testing.assert_allclose(m.values, wanted, atol=1e-4)
            own = by_type[name][160].assembled(m.resolution, laid, m.start, 16)
            np.testing.assert_allclose(m.expected, own)


def test_one_shot(several: Model, genome: Drawn):
    """The one-shot decoder alone, on both strands of a window that begins at a base bin."""
    module = several.spec.module("B")
    codes = genome.fetch("a", 1600, 1600 + 16 * FINE)
    state = several.model.state_dict()
    encoder, base = (
        {k.removeprefix(p): v for k, v in state.items() if k.startswith(p)}
        for p in ("encoder.", "base_decoder.")
    )
    with torch.inference_mode():
        one, two = (
            plain.decoder(base, (1, 2), plain.encoder(encoder, one_hot(c)[None], (1, 5, 8)))
            for c in (codes, reverse_complement(codes))
        )
    for k, engine in enumerate(engines(several, genome).values()):
        (found,) = engine.zoom(module, "a", 1600 + 8 * FINE)
        assert found.start == 1600
        wanted = 0.5 * (one + flip_map(two))[0, k]
        np.testing.assert_allclose(found.values, wanted.numpy(), atol=1e-4)


def test_predict_of_a_model(several: Model, genome: Drawn):
    """``Model.predict`` is the forward strand's top map of the chosen cell type."""
    margin = several.context
    codes = genome.fetch("a", 1600 - margin, 1600 + 16 * TOP + margin)
    module, tables = several.spec.module("S"), tables_of(NAMES).values()
    distances = {TOP: logs([t[40].expected_matrix(TOP, 16) for t in tables])}
    with torch.inference_mode():
        base = several.model.encoder(one_hot(codes)[None])[..., margin // 40 : -margin // 40]
    top = dataclasses.replace(module, resolutions=(TOP,))
    with torch.inference_mode():
        wanted = plain.one_strand(several.model, top, base, distances, {TOP: 0})[TOP]
    for k, name in enumerate(NAMES):
        found = several.for_cell_type(name).predict(codes[None])
        np.testing.assert_allclose(found, wanted[:, k].numpy(), atol=1e-4)


# ---- invariants


def reordered(model: Orca, order: Sequence[int], spec: ModelSpec) -> Orca:
    """A model of ``spec`` whose map k is map ``order[k]`` of ``model``, in every tensor."""
    other = Orca(spec).eval()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    for key, value in state.items():
        read = [8 + k for k in order]  # behind eight channels of encodings
        if ".final.3." in key:
            state[key] = value[list(order)]
        elif key.endswith(("lcombinerD.0.weight", "lcombiner.1.weight")):
            state[key] = torch.cat([value[:, :8], value[:, read]], 1)
    other.load_state_dict(state)
    return other


def all_maps(engine: OrcaEngine) -> list[np.ndarray]:
    """Zooms of all three modules."""
    modules = [engine.spec.module(name) for name in ("S", "G", "B")]
    return [m.values for module in modules for m in engine.zoom(module, "a", 3000)]


def test_exchanged_cell_types_give_exchanged_maps(several: Model, genome: Drawn, tmp_path: Path):
    order = (2, 0, 1)
    names = [NAMES[k] for k in order]
    model = reordered(several.model, order, spec_of(names))
    bundle = load_bundle(save_bundle(tmp_path / "x", model, by_cell_type=tables_of(NAMES)))
    assert bundle.cell_types == tuple(names)
    before = {name: all_maps(engine) for name, engine in engines(several, genome).items()}
    for name in NAMES:
        after = all_maps(make_engine(bundle.for_cell_type(name), genome, "cpu"))
        for one, two in zip(before[name], after, strict=True):
            np.testing.assert_allclose(two, one, atol=1e-4)
    difference = np.abs(np.stack(before["K562"][:3]) - np.stack(before["T-ALL_b"][:3]))
    assert difference.max() > 0.1  # what is exchanged is not the same


def test_a_map_that_reads_no_other_is_a_model_of_its_own(
    several: Model, genome: Drawn, tmp_path: Path
):
    """Where the networks do not read the expected and the coarser maps of other cell types, a
    cell type's maps are those of a model of it alone.
    """
    state = several.model.state_dict()
    for key, value in state.items():
        if key.endswith(("lcombinerD.0.weight", "lcombiner.1.weight")):
            value[:, 8] = value[:, 10] = 0
    own = several.by_cell_type["K562"]
    alone = reordered(several.model, (1,), make_toy_spec())
    single = load_bundle(save_bundle(tmp_path / "one", alone, own))
    wanted = all_maps(make_engine(single, genome, "cpu"))
    found = all_maps(make_engine(several.for_cell_type("K562"), genome, "cpu"))
    for one, two in zip(wanted, found, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-4)
