"""Predicted changes of maps against true ones: every score by plain numpy, every predicted change
from what the model is made of.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from conftest import Drawn

from orca_cool.errors import EditError, ModelError, OutputError
from orca_cool.evaluate.edit_changes import edited_genome, module_of, predicted_changes
from orca_cool.evaluate.edit_job import EditsOptions, EvaluateEditsJob, evaluate_predicted_edits
from orca_cool.evaluate.edit_report import edits_json, edits_table
from orca_cool.evaluate.edit_scores import auroc
from orca_cool.evaluate.edit_table import TrueEdit, Truths, read_edits, read_true
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.job import Opened

BINS, RESOLUTION, N = 32, 40, 32
SOURCE = Drawn({"c1": 12_000, "c2": 6_000}, ("c2", 4_000, 4_400))
TABLE = ExpectedModel(RESOLUTION, 0.1 / (1.0 + np.arange(400)) ** 0.9)
COLUMNS = "id kind cell_type chrom start end resolution edit changes edges dots maps".split()


class Composition:
    """A model whose maps are known: log observed/expected of two bins is the sum of their G+C,
    times a gain. Of two cell types one has twice the gain.
    """

    digest = "0" * 64
    context = 40
    capabilities: frozenset[str] = frozenset()

    def __init__(self, gain: float = 1.0, cell_types: tuple[str, ...] = ()):
        modules = (ModuleSpec("m", (RESOLUTION,)),)
        self.gain = gain
        self.spec = ModelDescription("composition", BINS, modules, cell_types=cell_types)

    def for_cell_type(self, name):
        return Composition({"a": 1.0, "b": 2.0}[self.spec.check_cell_type(name)])

    def expected(self, module):
        return TABLE

    def predict(self, codes):
        own = codes[:, self.context : -self.context].reshape(len(codes), BINS, -1)
        share = ((own == 1) | (own == 2)).mean(-1)
        return (self.gain * (share[:, :, None] + share[:, None, :])).astype(np.float32)


def frequencies(codes, bins, gain, eps):
    """Frequency of each pair of the given bins of a sequence, from the model's definition."""
    share = np.array([np.isin(codes[b * 40 : b * 40 + 40], (1, 2)).mean() for b in bins])
    distance = np.abs(np.subtract.outer(bins, bins))
    table = 0.1 / (1.0 + np.arange(400)) ** 0.9
    return np.exp(gain * np.add.outer(share, share)) * (table[distance] + eps)


def by_hand(before, after, origins, start, gain, eps):
    """The change at the reference: sums over all pairs of bins of the edited chromosome.

    Parameters
    ----------
    origins : for each bin of the edited chromosome, the bin of the reference.
    """
    wanted = range(start, start + N)
    near = [k for k, o in enumerate(origins) if o in wanted]
    values = frequencies(after, np.array(near), gain, eps)
    total, number = np.zeros((N, N)), np.zeros((N, N))
    for x, y in itertools.product(range(len(near)), repeat=2):
        place = origins[near[x]] - start, origins[near[y]] - start
        total[place] += values[x, y]
        number[place] += 1
    mean = np.divide(total, number, out=np.full((N, N), np.nan), where=number > 0)
    return np.log(mean / frequencies(before, np.array(wanted), gain, eps))


def true_edit(text, start=100, cell_type="", **changes) -> TrueEdit:
    values = {
        "id": "e",
        "kind": "k",
        "cell_type": cell_type,
        "chrom": "c1",
        "start": start * 40,
        "end": (start + N) * 40,
        "resolution": 40,
        "edit": text,
        "changes": None,
        "edges": (),
        "dots": (),
        "maps": None,
    }
    return TrueEdit(**(values | changes))


WHOLE = list(range(300))
CASES = {
    # an edit, where each bin of the edited chromosome came from, and how many bins are known
    "substitution": ("c1:4645-4665 sub " + "G" * 20, WHOLE, 32),
    "deletion": ("c1:4640-4720 del", WHOLE[:116] + WHOLE[118:], 30),
    "duplication": ("c1:4600-4720 dup", WHOLE[:118] + WHOLE[115:], 29),
    "inversion": ("c1:4520-4760 inv", WHOLE[:113] + WHOLE[113:119][::-1] + WHOLE[119:], 32),
    "insertion": ("c1:4640 ins " + "C" * 80, WHOLE[:116] + [-1, -1] + WHOLE[116:], 30),
    "two sites": ("c1:4100-4120 sub " + "G" * 20 + "; c1:5200-5220 sub " + "C" * 20, WHOLE, 22),
}


@pytest.mark.parametrize("case", CASES)
def test_predicted_changes_are_those_of_the_models_definition(case):
    text, origins, known = CASES[case]
    engine = make_engine(Composition(1.5), SOURCE)
    edit = true_edit(text)
    eps = TABLE.eps(RESOLUTION, BINS)
    ((same, change),) = predicted_changes(engine, engine.spec.modules[0], [edit])
    assert same is edit
    genome = edited_genome(edit, SOURCE)
    after = genome.fetch("c1", 0, genome.chromsizes["c1"])
    wanted = by_hand(SOURCE.codes["c1"], after, origins, 100, 1.5, eps)
    seen = np.isfinite(change)
    assert seen.any(axis=1).sum() >= known
    np.testing.assert_allclose(change, change.T, atol=1e-12)
    # of pairs of copies the window may show some alone
    copied = np.array([origins.count(k) > 1 for k in range(100, 100 + N)])
    sure = seen & ~(copied[:, None] | copied[None, :])
    np.testing.assert_allclose(change[sure], wanted[sure], atol=2e-5)
    if case == "duplication":
        near = np.ix_(range(8, 24), range(8, 24))  # far from the window's edges
        np.testing.assert_allclose(change[near], wanted[near], atol=2e-5)
    assert np.nanmax(np.abs(wanted)) > 0.1


def test_windows_are_centred_on_the_stretch_and_edits_decoded_together():
    engine = make_engine(Composition(), SOURCE)
    edits = [true_edit(f"c1:{at}-{at + 20} sub {'G' * 20}", start=s) for at, s in SHIFTED]
    found = list(predicted_changes(engine, engine.spec.modules[0], edits))
    assert [e for e, _ in found] == edits
    for (at, start), (_, change) in zip(SHIFTED, found):
        assert np.isfinite(change).all(), "the whole stretch lies in the window"
        rows = np.flatnonzero(np.abs(change).max(axis=1) == np.abs(change).max())
        assert at // 40 - start in rows


SHIFTED = [(4645, 100), (4645, 103), (4645, 97), (2000, 34), (9990, 234)]


# --- scores ---


def made_up(folder, seed=0, edits=12, noise=0.5):
    """A table of edits with random truths, their maps, and predictions, all in memory too."""
    rng = np.random.default_rng(seed)
    (folder / "maps").mkdir(parents=True)
    (folder / "mine").mkdir()
    rows, arrays = [], {}
    for k in range(edits):
        draw = [rng.normal(size=(N, N)) for _ in range(4)]
        symmetric = [(d + d.T) / 2 for d in draw]
        effect = symmetric[0] * (k % 3 > 0) + 0.2 * (k % 3 - 1)
        one, two = effect + noise * symmetric[1], effect + noise * symmetric[2]
        mine = 0.5 * effect + 0.3 * symmetric[3]
        if k == 4:  # a deleted bin
            one[15], one[:, 15], two[15], two[:, 15] = np.nan, np.nan, np.nan, np.nan
        if k == 5:
            mine[:6], mine[:, :6] = np.nan, np.nan
        distance = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
        reference = rng.uniform(0.5, 1.5) * (1.0 + distance) ** -1.0
        name = f"edit{k}"
        np.savez(folder / "maps" / f"{name}.npz", change1=one, change2=two, reference=reference)
        np.savez(folder / "mine" / f"{name}.npz", change=mine)
        arrays[name] = one, two, reference, mine
        kind, text = ("left", "middle", "right")[k % 3], f"c1:{4640 + k}-{4660 + k} del"
        rows.append(
            [name, kind, "", "c1", 4000, 5280, 40, text, int(k % 3 > 0), "14,16", "8-20,7-22"]
        )
        rows[-1].append(f"maps/{name}.npz")
    write_rows(folder / "edits.tsv", rows)
    return rows, arrays


def write_rows(path, rows, columns=COLUMNS):
    lines = ["\t".join(map(str, line)) for line in (columns, *rows)]
    path.write_text("\n".join(lines) + "\n")


def insulation_by_hand(change, reference, true, edges, side=10):
    kept = [k for k in range(N) if np.isfinite(true[k]).any()]
    found = []
    for edge in edges:
        if edge not in kept:
            continue
        at, before, after = kept.index(edge), [], []
        for a, b in itertools.product(range(side), repeat=2):
            i, j = at - a, at + b
            if a + b >= 2 and 0 <= i and j < len(kept) and np.isfinite(change[kept[i], kept[j]]):
                before.append(reference[kept[i], kept[j]])
                after.append(before[-1] * np.exp(change[kept[i], kept[j]]))
        if 2 * len(before) >= side**2 - 3 and at >= side - 1 and at <= len(kept) - side:
            found.append(np.log(np.mean(after) / np.mean(before)))
    return np.mean(found) if found else np.nan


def dots_by_hand(change, dots):
    found = []
    for i, j in dots:
        square, ring = [], []
        for a, b in itertools.product(range(-5, 6), repeat=2):
            if max(abs(a), abs(b)) <= 1:
                square.append(change[i + a, j + b])
            elif max(abs(a), abs(b)) > 2:
                ring.append(change[i + a, j + b])
        square, ring = np.array(square), np.array(ring)
        if all(2 * np.isfinite(x).sum() >= len(x) for x in (square, ring)):
            found.append(np.nanmean(square) - np.nanmean(ring))
    return np.mean(found) if found else np.nan


def r(x, y):
    x, y = np.array(x), np.array(y)
    known = np.isfinite(x) & np.isfinite(y)
    return np.corrcoef(x[known], y[known])[0, 1]


def test_every_score_by_plain_numpy(tmp_path):
    rows, arrays = made_up(tmp_path)
    options = EditsOptions(table=str(tmp_path / "edits.tsv"))
    result = evaluate_predicted_edits(tmp_path / "mine", options, progress=False)
    own = {}
    for row in rows:
        one, two, reference, mine = arrays[row[0]]
        mean = (one + two) / 2
        i, j = np.triu_indices(N, 2)
        known = np.isfinite(mean[i, j]) & np.isfinite(mine[i, j])
        i, j = i[known], j[known]
        unknown = np.isnan(mean) | np.isnan(mine)
        maps = [np.where(unknown, np.nan, m) for m in (mine, mean, one, two)]
        own[row[0]] = {
            "kind": row[1],
            "changes": row[8],
            "pixels": [m[i, j] for m in maps],
            "insulation": [insulation_by_hand(m, reference, mean, (14, 16)) for m in maps],
            "dots": [dots_by_hand(m, ((8, 20), (7, 22))) for m in maps],
            "size": np.mean(mine[i, j] ** 2),
        }
    assert [s.kind for s in result.scores] == ["all", "left", "middle", "right"]
    still = [x["size"] for x in own.values() if not x["changes"]]
    for s in result.scores:
        some = [x for x in own.values() if s.kind in ("all", x["kind"])]
        changing = [x for x in some if x["changes"]]
        assert (s.edits, s.changing) == (len(some), len(changing))
        mine, mean, one, two = (np.concatenate([x["pixels"][k] for x in some]) for k in range(4))
        assert s.pixels.r == pytest.approx(r(mine, mean))
        assert s.pixels.replicates == pytest.approx(r(one, two))
        reliable = 2 * r(one, two) / (1 + r(one, two))
        assert s.pixels.ceiling == pytest.approx(max(reliable, 0) ** 0.5)
        for name, found in (("insulation", s.insulation), ("dots", s.dots)):
            table = np.array([x[name] for x in some])
            assert found.r == pytest.approx(r(table[:, 0], table[:, 1]))
            assert found.replicates == pytest.approx(r(table[:, 2], table[:, 3]))
        if not changing:
            assert np.isnan([s.single.r, s.sign[0], s.auroc]).all()
            continue
        singles = [[r(*x["pixels"][:2]), r(*x["pixels"][2:])] for x in changing]
        assert [s.single.r, s.single.replicates] == pytest.approx(list(np.median(singles, axis=0)))
        signs = np.array([x["insulation"] for x in changing])
        signs = signs[np.isfinite(signs).all(axis=1)]
        assert s.sign[0] == pytest.approx(np.mean(signs[:, 0] * signs[:, 1] > 0))
        assert s.sign[1] == pytest.approx(np.mean(signs[:, 2] * signs[:, 3] > 0))
        above = [x["size"] > y for x in changing for y in still]
        assert s.auroc == pytest.approx(np.mean(above))


def test_auroc_counts_ties_half_and_needs_both():
    assert auroc([1, 2, 2], [2, 0]) == pytest.approx((0 + 1 + 0.5 + 1 + 0.5 + 1) / 6)
    assert np.isnan(auroc([], [1]))
    assert np.isnan(auroc([1], [np.nan]))


def test_one_replicate_alone_has_no_ceiling(tmp_path):
    rows, arrays = made_up(tmp_path, edits=3)
    for name, (one, _, reference, _) in arrays.items():
        np.savez(tmp_path / "maps" / f"{name}.npz", change1=one, reference=reference)
    options = EditsOptions(table=str(tmp_path / "edits.tsv"))
    total = evaluate_predicted_edits(tmp_path / "mine", options, progress=False).scores[0]
    i, j = np.triu_indices(N, 2)
    pooled = [np.concatenate([arrays[row[0]][k][i, j] for row in rows]) for k in (3, 0)]
    assert total.pixels.r == pytest.approx(r(*pooled))
    assert np.isnan([total.pixels.replicates, total.pixels.ceiling, total.sign[1]]).all()


def opened(job, model) -> Opened:
    return Opened(job, model, SOURCE, "drawn", True, None)


def test_a_model_that_is_the_truth_is_right_in_both_cell_types(tmp_path):
    """Truths are computed from the model's definition, the predictions by the job."""
    (tmp_path / "maps").mkdir()
    rng = np.random.default_rng(4)
    rows, eps = [], TABLE.eps(RESOLUTION, BINS)
    for k in range(8):
        cell_type, gain = ("a", 1.0) if k % 2 else ("b", 2.0)
        at = 3000 + 700 * k
        start = at // 40 - 16
        letters = "".join(rng.choice(list("GC" if k % 3 else "AT"), 20))
        edit = true_edit(f"c1:{at}-{at + 20} sub {letters}", start)
        genome = edited_genome(edit, SOURCE)
        after = genome.fetch("c1", 0, 12_000)
        change = by_hand(SOURCE.codes["c1"], after, WHOLE, start, gain, eps)
        reference = frequencies(SOURCE.codes["c1"], np.arange(start, start + N), gain, eps)
        arrays = {"change1": change, "change2": change, "reference": reference}
        np.savez(tmp_path / "maps" / f"{k}.npz", **arrays)
        rows.append([k, "sub", cell_type, "c1", start * 40, edit.end, 40, edit.edit, 1, "16", ""])
        rows[-1].append(f"maps/{k}.npz")
    write_rows(tmp_path / "edits.tsv", rows)
    against = EditsOptions(table=str(tmp_path / "edits.tsv"), output=str(tmp_path / "out"))
    job = EvaluateEditsJob(model="-", genome="drawn", against=against)
    result = job.run(opened(job, Composition(cell_types=("a", "b"))), progress=False)
    names = [(s.kind, s.cell_type, s.edits) for s in result.scores]
    assert names == [
        ("all", "all", 8),
        ("all", "b", 4),
        ("all", "a", 4),
        ("sub", "all", 8),
        ("sub", "b", 4),
        ("sub", "a", 4),
    ]
    for s in result.scores:
        assert s.pixels.r == pytest.approx(1, abs=1e-5)
        assert s.insulation.r == pytest.approx(1, abs=1e-5)
        assert s.sign == (1.0, 1.0)
    for n in result.numbers:
        assert n.insulation == pytest.approx(n.true_insulation[0], abs=1e-4)
        assert n.size == pytest.approx(n.true_size, rel=1e-3)
    written = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert written == ["edits.png", "edits.tsv", "scores.json", "scores.tsv"]
    text = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert text == json.loads(json.dumps(edits_json(result)))
    assert text["scores"][0]["r"] == pytest.approx(1, abs=1e-5)
    assert text["scores"][0]["dots"] is None
    lines = (tmp_path / "out" / "edits.tsv").read_text().splitlines()
    assert len(lines) == 9
    assert lines[0].split("\t")[:4] == ["id", "kind", "cell_type", "edit"]
    printed = edits_table(result).splitlines()
    assert [line.split("  ")[0] for line in printed] == ["kind", "all", "all, b", "all, a", "sub"]
    with pytest.raises(OutputError, match="use --force"):
        job.run(opened(job, Composition(cell_types=("a", "b"))), progress=False)
    one = replace(job, against=replace(against, output=None))
    with pytest.raises(ModelError, match=r"edit '1': model .* no cell type 'a'"):
        one.run(opened(one, Composition(cell_types=("b",))), progress=False)


# --- what is wrong ---


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("start", "4001", "no whole number of bins"),
        ("start", "x4", "'x4' in the column start"),
        ("end", "4000", "no whole number of bins"),
        ("resolution", "0", "no whole number of bins"),
        ("changes", "yes", "'yes' in the column changes; write 1, 0 or nothing"),
        ("edges", "32", "has the bins 0 to 31"),
        ("edges", "1-2", "write bins as 3,17"),
        ("dots", "5", "write pairs of bins as 3-17"),
        ("dots", "5-99999999999", "has the bins 0 to 31"),
        ("edit", "", "has no edit"),
        ("id", "a/b", "cannot be the name of a file"),
        ("id", "edit1", "the id 'edit1' of another row"),
    ],
)
def test_values_of_a_table_that_are_wrong(tmp_path, column, value, message):
    rows, _ = made_up(tmp_path, edits=2)
    rows[0][COLUMNS.index(column)] = value
    write_rows(tmp_path / "edits.tsv", rows)
    with pytest.raises(EditError, match=message) as caught:
        read_edits(tmp_path / "edits.tsv")
    assert "edits.tsv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tables_that_are_none(tmp_path):
    path = tmp_path / "edits.tsv"
    rows, _ = made_up(tmp_path, edits=1)
    for columns, message in (
        ([*COLUMNS[:-1], "file"], "has no column 'maps'"),
        ([*COLUMNS[:2], "cell", *COLUMNS[3:]], "unknown column 'cell'"),
        ([*COLUMNS[:2], "kind", *COLUMNS[3:]], "twice the column 'kind'"),
    ):
        write_rows(path, rows, columns)
        with pytest.raises(EditError, match=message):
            read_edits(path)
    write_rows(path, [rows[0][:-1]])
    with pytest.raises(EditError, match="has 11 columns, the header 12"):
        read_edits(path)
    write_rows(path, [])
    with pytest.raises(EditError, match="holds no edit"):
        read_edits(path)
    with pytest.raises(EditError, match=r"'.*none.tsv' cannot be read"):
        read_edits(tmp_path / "none.tsv")


def test_maps_that_are_wrong(tmp_path):
    made_up(tmp_path, edits=1)
    (edit,) = read_edits(tmp_path / "edits.tsv")
    square = np.ones((N, N))
    for arrays, message in (
        ({"change1": square}, "has no array 'reference'"),
        ({"change1": square[:5], "reference": square}, r"float64 of shape \(5, 32\)"),
        ({"change1": square, "reference": square > 0}, "'reference' is bool"),
        ({"change1": square, "reference": -square}, "has the value -1.0"),
        ({"change1": np.full((N, N), None), "reference": square}, "no sound .npz"),
    ):
        np.savez(edit.maps, **arrays)
        with pytest.raises(EditError, match=message) as caught:
            read_true(edit)
        assert "edit 'edit0'" in str(caught.value)
    edit.maps.write_text("no zip")
    with pytest.raises(EditError, match=r"no sound \.npz"):
        read_true(edit)
    edit.maps.unlink()
    with pytest.raises(EditError, match="is not there"):
        read_true(edit)


@pytest.mark.parametrize(("most", "twice"), [(2**30, 0), (3 * N * N * 8, 3), (0, 4)])
def test_each_truth_is_read_once_where_there_is_room(tmp_path, monkeypatch, most, twice):
    """All are looked at before any is taken; what does not fit the room is read again."""
    _, arrays = made_up(tmp_path, edits=4)
    table = read_edits(tmp_path / "edits.tsv")
    opened = Counter()
    load = np.load

    def counted(path, **options):
        opened[path] += 1
        return load(path, **options)

    monkeypatch.setattr(np, "load", counted)
    truths = Truths(most)
    for edit in table * 2:  # a job may be checked again
        truths.check(edit)
    for edit in reversed(table):
        one, two, reference, _ = arrays[edit.id]
        true = truths.take(edit)
        np.testing.assert_array_equal(true.change, one)
        np.testing.assert_array_equal(true.replicate, two)
        np.testing.assert_array_equal(true.reference, reference)
    again = [opened[edit.maps] > 1 for edit in table]
    assert sum(again) == twice
    assert sorted(again) == again  # the first ones are kept


@pytest.mark.parametrize(
    ("text", "changes", "message"),
    [
        ("c1:1-2 cut", {}, "edit 'e': edit 'c1:1-2 cut': it is not understood"),
        ("c1:5000-90000 del", {}, r"edit 'e': .*outside c1, which is 12,000 bp"),
        ("c1:100-104 del", {"chrom": "c9"}, "'e' has the stretch c9:.* c9 is not there"),
        ("c1:100-104 del", {"end": 100 * 40 + 8040}, "c1 has 12,000 bp in the genome"),
    ],
)
def test_edits_that_do_not_fit_the_genome(text, changes, message):
    with pytest.raises(EditError, match=message):
        edited_genome(true_edit(text, **changes), SOURCE)


def test_an_edit_that_changes_nothing_and_a_resolution_that_the_model_lacks():
    same = "".join("ACGT"[k] for k in SOURCE.codes["c1"][4640:4660])
    with pytest.raises(EditError, match="changes nothing"):
        edited_genome(true_edit(f"c1:4640-4660 sub {same}"), SOURCE)
    with pytest.raises(ModelError, match=r"'e' has bins of 80 bp; model 'composition' .* 40 bp"):
        module_of(Composition().spec, true_edit("c1:4640-4660 del", resolution=80))
