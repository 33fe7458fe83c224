"""``orca-cool predict`` of edited genomes: what it writes, beside it too, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys

import cooler
import h5py
import numpy as np
import pytest
import runs
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec

from orca_cool.cli import main
from orca_cool.errors import EditError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Edit
from orca_cool.genome.edited import digest
from orca_cool.genome.open import open_genome
from orca_cool.genome.segments import Segment
from orca_cool.maps.check import check_mcool
from orca_cool.maps.coolfile import read_log_ratio
from orca_cool.model.bundle import save_bundle
from orca_cool.prediction import mcool_writer
from orca_cool.variants.options import EditOptions, edited_genome

SIZES = {"a": 3_010, "b": 2_100, "c": 500}
LEVELS = (40, 80, 160)
DELETION = "a:1,013-1,500 del"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the model ``toy`` (of this genome's assembly) and the genome ``toy.fa``."""
    folder = tmp_path_factory.mktemp("place")
    rng = np.random.default_rng(5)
    with open(folder / "toy.fa", "w") as out:
        out.write(
            "".join(f">{c}\n{''.join(rng.choice(list('ACGT'), n))}\n" for c, n in SIZES.items())
        )
    spec = make_toy_spec(assemblies={"toyAsm": SIZES})
    save_bundle(folder / "toy", make_toy_model(spec), make_toy_expected(spec))
    open_genome(folder / "toy.fa")  # makes the index
    return folder


@pytest.fixture
def call(place, tmp_path):
    """Runs the verb; the output is ``tmp_path / "out.mcool"``."""

    def run(*extra, genome="toy.fa", output="out.mcool", code=0):
        line = [
            "predict",
            "-q",
            "--model",
            str(place / "toy"),
            "--genome",
            str(place / genome),
            "-o",
            str(tmp_path / output),
        ]
        result = CliRunner().invoke(
            main,
            [*line, "--levels", ",".join(map(str, LEVELS)), "--device", "cpu", *map(str, extra)],
        )
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture(scope="module")
def source(place):
    return open_genome(place / "toy.fa")


def text_of(source, chrom, start, end):
    return "".join("ACGTN"[k] for k in source.fetch(chrom, start, end))


def vcf(path, *records, samples=()):
    columns = [
        "#CHROM",
        "POS",
        "ID",
        "REF",
        "ALT",
        "QUAL",
        "FILTER",
        "INFO",
        *(["FORMAT", *samples] if samples else []),
    ]
    lines = ["##fileformat=VCFv4.2", "\t".join(columns)]
    for chrom, pos, ref, alt, *genotypes in records:
        lines.append(
            "\t".join(
                [
                    chrom,
                    str(pos),
                    ".",
                    ref,
                    alt,
                    ".",
                    ".",
                    ".",
                    *(["GT", *genotypes] if samples else []),
                ]
            )
        )
    path.write_text("\n".join(lines) + "\n")
    return path


def info(path, resolution=40):
    return cooler.Cooler(f"{path}::resolutions/{resolution}").info


def metadata(path):
    return info(path)["metadata"]


def pixels(path):
    """Bytes of every dataset of the pixels, bins and indexes."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and "orca_cool" not in name:
            found[name] = item[()].tobytes()

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def test_the_file_is_of_the_edited_genome(call, tmp_path, source):
    result = call("--edit", DELETION)
    assert "predicting what is edited, a; name REGIONs to predict others" in result.stderr
    out = tmp_path / "out.mcool"
    assert result.stdout.split() == [
        str(out),
        *(str(tmp_path / f"out.expected.{r}.tsv") for r in LEVELS),
        str(tmp_path / "out.view.bed"),
    ]
    assert f"--view {tmp_path / 'out.view.bed'}" in result.stderr
    genome = apply_edits(source, [Edit("del", "a", 1_013, 1_500)])
    clr = cooler.Cooler(f"{out}::resolutions/40")
    assert clr.chromsizes.to_dict() == {"a": 2_523, "b": 2_100, "c": 500}
    assert genome.name.startswith("toy.")
    assert clr.info["genome-assembly"] == "toyAsm." + genome.name.removeprefix("toy.")
    told = clr.info["metadata"]
    assert told["genome"] == genome.name
    assert told["edits"] == ["a:1,013-1,500 del"]
    assert told["segments"] == {"a": ["a:0-1,013(+)", "a:1,500-3,010(+)"]}
    assert told["contigs_sha256"] == digest(genome.contigs)
    assert told["reference_assembly"] == "toyAsm"
    assert len(told["reference_chromsizes_sha256"]) == 64
    assert told["regions"] == ["a:0-2,523"]
    assert np.isnan(clr.bins().fetch("b")["weight"]).all()
    assert check_mcool(out).valid


@pytest.mark.parametrize("regions", [[], ["b", "a:400-2,523"]])
def test_it_is_what_the_edited_fasta_gives(call, place, tmp_path, source, regions):
    """With --reencode the very bytes, else up to rounding."""
    genome = apply_edits(source, [Edit("del", "a", 1_013, 1_500)])
    (place / "edited.fa").write_text(
        "".join(f">{c}\n{text_of(genome, c, 0, n)}\n" for c, n in genome.chromsizes.items())
    )
    call("--any-genome", *(regions or ["a"]), genome="edited.fa", output="fasta.mcool")
    call("--edit", DELETION, "--reencode", *regions, output="anew.mcool")
    call("--edit", DELETION, *regions, output="reused.mcool")
    plain, anew = pixels(tmp_path / "fasta.mcool"), pixels(tmp_path / "anew.mcool")
    assert len(plain) > 30
    assert [name for name in {*plain, *anew} if plain.get(name) != anew.get(name)] == []
    for r in LEVELS:
        a, b = (
            read_log_ratio(f"{tmp_path / name}::resolutions/{r}", "a")
            for name in ("fasta.mcool", "reused.mcool")
        )
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        assert np.nanmax(np.abs(a - b)) < 1e-4 * np.nanstd(a)
    assert (
        metadata(tmp_path / "anew.mcool")["reencode"],
        metadata(tmp_path / "reused.mcool")["reencode"],
    ) == (True, False)


def test_all_options_at_once_are_one_set_of_edits(call, place, tmp_path, source, monkeypatch):
    """Texts, a file of texts that names a file of sequence, a VCF and a Seqstr: all in the
    coordinates of the reference.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edits.txt").write_text("a:2,000 ins @letters.fa\nb:100-200 inv\n")
    (tmp_path / "letters.fa").write_text(">one\nACGTACGTAC\n")
    (tmp_path / "seqstr.txt").write_text("<x>[toyAsm]c:100-400 -;ACGT\n")
    ref = text_of(source, "a", 2_499, 2_500)
    records = vcf(tmp_path / "x.vcf", ("a", 2_500, ref, "ACGT"[("ACGT".index(ref) + 1) % 4]))
    line = [
        "--edit",
        "a:100-150 del",
        "--edit",
        "@edits.txt",
        "--vcf",
        records,
        "--seqstr",
        "@seqstr.txt",
    ]
    call(*line, "--assembly", "mine", "x", "b:0-1000")
    told = metadata(tmp_path / "out.mcool")
    assert [text.split(" ", 1)[1].split()[0] for text in told["edits"][:4]] == [
        "del",
        "ins",
        "inv",
        "sub",
    ]
    assert told["edits"][4].startswith("x = ")
    assert told["assembly"] == "mine"
    assert told["vcf"] == "x.vcf"
    sizes = cooler.Cooler(f"{tmp_path / 'out.mcool'}::resolutions/40").chromsizes.to_dict()
    assert sizes == {"a": 3_010 - 50 + 10, "b": 2_100, "c": 500, "x": 304}
    assert told["regions"] == ["b:0-1,000", "x:0-304"]
    # the same from another folder, as a worker has it
    options = EditOptions(edit=("a:100-150 del", "@edits.txt"), vcf="x.vcf", seqstr="@seqstr.txt")
    alone = EditOptions(**json.loads(json.dumps(options.standalone().__dict__)))
    monkeypatch.chdir(place)
    assert digest(edited_genome(alone, source).genome.contigs) == told["contigs_sha256"]


def test_haplotypes(call, tmp_path, source):
    a, b = (text_of(source, "a", p, p + 1) for p in (500, 1_000))
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    file = vcf(
        tmp_path / "x.vcf",
        ("a", 501, a, other[a], "0|1", "1|0"),
        ("a", 1_001, b, other[b] + "TTTT", "1|1", "0|0"),
        samples=("one", "two"),
    )

    def edits(*options):
        (tmp_path / "out.mcool").unlink(missing_ok=True)
        call("--vcf", file, *options, "a", "--force")
        return metadata(tmp_path / "out.mcool")["edits"]

    assert len(edits()) == 2
    assert len(edits("--haplotype", 1, "--sample", "one")) == 1
    assert len(edits("--haplotype", 2, "--sample", "one")) == 2
    assert len(edits("--haplotype", 1, "--sample", "two")) == 1
    for options, message in {
        ("--haplotype", 2, "--sample", "two"): "haplotype 2 of sample 'two' of ",
        ("--haplotype", 0, "--sample", "two"): "haplotype 0 does not exist",
        ("--haplotype", 3, "--sample", "two"): "haplotype 3 does not exist",
        ("--haplotype", 1): "one, two",
        ("--haplotype", 1, "--sample", "three"): "'three'",
    }.items():
        assert (
            message
            in call("--vcf", file, *options, code=2, output="x.mcool").output.splitlines()[-1]
        )


def test_variants_that_cannot_be_used_are_counted(call, tmp_path, source):
    ref = text_of(source, "a", 499, 500)
    wrong = "ACGT"[("ACGT".index(text_of(source, "a", 699, 700)) + 1) % 4]
    good = ("a", 500, ref, "ACGT"[("ACGT".index(ref) + 1) % 4])
    bad = [("a", 700, wrong, "ACGT"[("ACGT".index(wrong) + 1) % 4])] * 13
    result = call("--vcf", vcf(tmp_path / "x.vcf", good, good, *bad), "a")
    lines = [line for line in result.stderr.splitlines() if line.startswith("warning:")]
    assert len(lines) == 11
    assert lines[0] == "warning: not applied: x.vcf line 4: it overlaps x.vcf line 3"
    assert "x.vcf line 5" in lines[1]
    assert wrong in lines[1]
    assert lines[10] == "warning: and 4 more, 14 in all, that are not applied"
    assert metadata(tmp_path / "out.mcool")["not_applied"] == 14
    refused = call(
        "--vcf", tmp_path / "x.vcf", "--strict", "a", code=2, output="x.mcool"
    ).output.splitlines()[-1]
    assert (
        refused == "Error: x.vcf line 4: it overlaps x.vcf line 3 (and 13 more that cannot be used)"
    )
    unusable = call(
        "--vcf", vcf(tmp_path / "y.vcf", *bad), "a", code=2, output="x.mcool"
    ).output.splitlines()[-1]
    assert "y.vcf' changes nothing; 13 of its variants cannot be used" in unusable


def test_lifted_and_difference(call, tmp_path):
    """Both files, the reference's own, and the difference of the two that are there."""
    result = call("--edit", DELETION, "--lift-to-reference", "--diff")
    names = ["out", "out.reference", "out.lifted", "out.diff"]
    assert [p for p in result.stdout.split() if p.endswith(".mcool")] == [
        str(tmp_path / f"{name}.mcool") for name in names
    ]
    assert {p.name for p in tmp_path.iterdir()} == (
        {f"{name}.mcool" for name in names}
        | {f"{name}.expected.{r}.tsv" for name in names[:3] for r in LEVELS}
        | {f"{name}.view.bed" for name in names[:3]}
    )
    for name in names:
        assert check_mcool(tmp_path / f"{name}.mcool").valid
        checked = CliRunner().invoke(main, ["check", str(tmp_path / f"{name}.mcool")])
        assert checked.exit_code == 0
        assert ("difference of two predictions" in checked.output) is (name == "out.diff")
    for name in names[1:]:
        assert info(tmp_path / f"{name}.mcool")["genome-assembly"] == "toyAsm"
        assert (
            cooler.Cooler(f"{tmp_path / f'{name}.mcool'}::resolutions/40").chromsizes.to_dict()
            == SIZES
        )
    assert metadata(tmp_path / "out.reference.mcool")["regions"] == ["a:0-3,010"]
    for r in LEVELS:
        uris = [
            f"{tmp_path / f'out.{x}.mcool'}::resolutions/{r}"
            for x in ("lifted", "reference", "diff")
        ]
        a, b, d = (cooler.Cooler(uri).matrix(balance=True).fetch("a") for uri in uris)
        with np.errstate(divide="ignore", invalid="ignore"):
            wanted = np.where((a > 0) & (b > 0), np.log(a / b), 0.0)
        known = np.isfinite(a)
        assert 0 < known.sum() < np.isfinite(b).sum()
        np.testing.assert_allclose(d[known], wanted[known], atol=1e-5)
        np.testing.assert_array_equal(np.isfinite(d), known)


def test_what_is_there_already_is_not_predicted_again(call, tmp_path, monkeypatch):
    call("--edit", DELETION)
    call("a", output="plain.mcool")
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    result = call("--edit", DELETION, "--diff", "--reference", tmp_path / "plain.mcool")
    assert result.stdout.split() == [str(tmp_path / "out.diff.mcool")]
    assert {
        p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir() if p.name != "out.diff.mcool"
    } == before

    # another prediction under that name is not taken for this one
    for line in (
        ["--edit", "a:1,013-1,501 del"],
        ["--edit", DELETION, "--mode", "contact"],
        ["--edit", DELETION, "a:0-2,000"],
    ):
        refused = call(*line, "--lift-to-reference", code=2).output.splitlines()[-1]
        assert "out.mcool exists, and is another prediction" in refused
    assert "out.diff.mcool exists" in call("--edit", DELETION, "--diff", code=2).output
    (tmp_path / "out.reference.mcool").write_bytes((tmp_path / "out.mcool").read_bytes())
    (tmp_path / "out.diff.mcool").unlink()
    assert "out.reference.mcool exists" in call("--edit", DELETION, "--diff", code=2).output
    assert not list(tmp_path.glob("*.partial"))


def test_a_run_that_is_killed_late_goes_on(call, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(
            "orca_cool.effects.companion_outputs.difference",
            lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")),
        )
        refused = call("--edit", DELETION, "--lift-to-reference", "--diff", code=2)
    assert "No space left on device" in refused.output.splitlines()[-1]
    assert {p.name for p in tmp_path.glob("*.mcool*")} == {"out.mcool", "out.reference.mcool"}
    result = call("--edit", DELETION, "--lift-to-reference", "--diff")
    assert [p.split("/")[-1] for p in result.stdout.split() if p.endswith(".mcool")] == [
        "out.lifted.mcool",
        "out.diff.mcool",
    ]


def test_no_change_in_phase_is_exactly_0(call, tmp_path, source):
    """Also where the unedited part is encoded by way of the edited genome."""
    line = [
        "--edit",
        f"a:100-140 sub {text_of(source, 'a', 100, 140)}",
        "a:0-2,000",
        "b",
        "--diff",
        "--lift-to-reference",
    ]
    call(*line)
    one, two = (pixels(tmp_path / f"out.{x}.mcool") for x in ("lifted", "reference"))
    assert one == two
    with h5py.File(tmp_path / "out.diff.mcool") as file:
        for group in file["resolutions"].values():
            assert len(group["pixels/count"]) > 100
            assert not group["pixels/count"][:].any()


def test_references_that_do_not_fit(call, place, tmp_path):
    call("--mode", "contact", "a", output="contact.mcool")
    call("a", "--levels", "80,160", output="coarse.mcool")
    (place / "other.fa").write_text(f">a\n{'ACGT' * 800}\n")
    call("a", "--any-genome", genome="other.fa", output="other.mcool")
    call("a", "--module", "B", "--levels", "40", output="module.mcool")
    for name, words in {
        "contact": ["mode 'contact', not 'regularised'"],
        "coarse": ["no resolution 40; it has: 80, 160"],
        "other": ["another genome", "3200 bp", "3010 bp"],
        "module": ["40 bp of module 'B', not 'S'"],
        "none": ["none.mcool"],
    }.items():
        refused = call(
            "--edit", DELETION, "--diff", "--reference", tmp_path / f"{name}.mcool", code=2
        )
        assert [word for word in words if word not in refused.output.splitlines()[-1]] == []
    assert not list(tmp_path.glob("out.*"))


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["--edit", "a:5-10 cut"], ["a:5-10 cut", "not understood"]),
        (["--edit", ""], ["no edit"]),
        (["--edit", "a:5-10 del; a:8-20 inv"], ["overlap", "a:5-10 del", "a:8-20 inv"]),
        (["--edit", "z:5-10 del"], ["'z'"]),
        (["--edit", "a:5-10 del", "--seqstr", "<a>c:0-10"], ["'a'"]),
        (["--edit", "@none.txt"], ["none.txt", "No such file"]),
        (["--vcf", "none.vcf"], ["none.vcf", "No such file"]),
        (["--vcf", "EMPTY"], ["changes nothing"]),
        (["--vcf", "EMPTY", "--haplotype", "1"], ["0 samples"]),
        (["--seqstr", "<x>[other]c:0-10"], ["'other'", "'toyAsm'"]),
        (["--seqstr", "@none.txt"], ["none.txt"]),
        (["--haplotype", "1"], ["--haplotype 1", "--vcf"]),
        (["--vcf", "EMPTY", "--sample", "one"], ["--sample 'one'", "--haplotype"]),
        (["--edit", DELETION, "--strict"], ["--strict", "--vcf"]),
        (["--edit", DELETION, "--copies", "first"], ["--copies 'first'", "--lift-to-reference"]),
        (["--edit", DELETION, "--reference", "x.mcool"], ["'x.mcool'", "--diff"]),
        (["--lift-to-reference"], ["--lift-to-reference", "--edit"]),
        (["--diff"], ["--diff", "--edit"]),
        (["--reencode"], ["--reencode", "--edit"]),
        (["--edit", DELETION, "--at", "a:1000", "--diff"], ["--at", "--diff"]),
        (["--edit", DELETION, "a:2,600-2,900"], ["2,523"]),
        (["--edit", "c:10-490 del"], ["20 bp of 'c'", "40 bp"]),
        (["--edit", "x = ACGT"], ["4 bp of 'x'", "40 bp"]),
        (
            ["--edit", DELETION, "--reencode", "--store", "store.x", "--diff"],
            ["store.x", "--reference"],
        ),
        (
            ["--edit", f"x = {'ACGT' * 40}", "--lift-to-reference"],
            ["x:0-160", "comes from the reference"],
        ),
        (["--edit", "a:0-9 sub SAME"], ["change nothing", "REGION"]),
    ],
)
def test_refused_in_one_line(call, tmp_path, source, extra, words, monkeypatch):
    monkeypatch.chdir(tmp_path)
    empty = vcf(tmp_path / "empty.vcf")
    extra = [
        text.replace("SAME", text_of(source, "a", 0, 9)).replace("EMPTY", str(empty))
        for text in extra
    ]
    result = call(*extra, code=2)
    assert "Traceback" not in result.output
    message = result.output.strip().splitlines()[-1]
    assert message.startswith("Error: ")
    assert [word for word in words if word not in message] == []
    assert [p.name for p in tmp_path.iterdir()] == ["empty.vcf"]


def test_the_assembly_that_is_checked_is_the_references(call, place, tmp_path):
    (place / "short.fa").write_text(f">a\n{'ACGT' * 800}\n")
    refused = call(
        "--edit", "a:0-190 del", genome="short.fa", code=2
    ).output  # 3,010 bp is left: the assembly's length
    assert "--any-genome" in refused
    assert "3,200" in refused
    call("--edit", "a:0-190 del", "--any-genome", genome="short.fa")
    assert info(tmp_path / "out.mcool")["genome-assembly"].startswith("short.")


def test_the_store_is_the_references(call, tmp_path):
    call("a", "--store", tmp_path / "store", output="plain.mcool")
    call("--edit", DELETION, "--store", tmp_path / "store", "--diff")
    for name in ("out", "out.reference"):
        assert metadata(tmp_path / f"{name}.mcool")["encodings"] == "float16"
    line = ["--edit", DELETION, "--store", tmp_path / "store", "--reencode"]
    assert "of genome 'toy'" in call(*line, output="x.mcool", code=2).output.splitlines()[-1]


def test_zoom_series_of_an_edited_genome(call, tmp_path, source):
    call("--edit", DELETION, "--at", "a:1,505")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as arrays:
        told = json.loads(str(arrays["metadata"]))
        assert told["segments"] == {"a": ["a:0-1,013(+)", "a:1,500-3,010(+)"]}
        edited = arrays["prediction_0.64k"]
    call("--at", "a:1,505", output="plain.mcool")
    with np.load(tmp_path / "plain.npz", allow_pickle=False) as arrays:
        assert not np.array_equal(arrays["prediction_0.64k"], edited)


def test_other_edits_do_not_resume(call, tmp_path, monkeypatch):
    """Though their texts are the same (long sequences are cut), their assemblies too, and all
    lengths.
    """
    letters = "ACGT" * 20
    line = ["--assembly", "mine", "--edit"]
    with monkeypatch.context() as patch:

        def late(*_):
            raise OSError(28, "No space left on device")

        patch.setattr(mcool_writer, "write_expected", late)
        assert "No space left" in call(*line, f"a:500 ins {letters}", code=2).output
    assert (tmp_path / "out.mcool.partial").is_dir()
    other = letters[:40] + "T" + letters[41:]
    refused = call(*line, f"a:500 ins {other}", code=2).output.splitlines()[-1]
    assert "out.mcool.partial holds an unfinished run with contigs_sha256" in refused
    refused = call(*line, f"a:500 ins {letters}", "--reencode", code=2).output.splitlines()[-1]
    assert "reencode" in refused
    call(*line, f"a:500 ins {letters}")
    assert not (tmp_path / "out.mcool.partial").exists()


def test_a_worker_makes_the_same_genome_and_plan(call, place, tmp_path, source, monkeypatch):
    """From the plain values of a job, in another folder; a file that has changed is noticed."""
    pytest.importorskip("distributed")
    import dataclasses

    from orca_cool.prediction.parallel import cluster

    jobs = []

    class Seen(Exception):
        pass

    def dask(where, job):
        jobs.append(json.dumps(dataclasses.asdict(job)))
        raise Seen

    monkeypatch.chdir(tmp_path)
    (tmp_path / "letters.fa").write_text(">one\nACGTACGTAC\n")
    monkeypatch.setattr(cluster, "Dask", dask)
    line = ["--edit", "a:700 ins @letters.fa,a:5-50", "--edit", DELETION, "--reencode"]
    with pytest.raises(AssertionError):  # the error is no user's
        call(*line, "--dask", "local:1")
    monkeypatch.chdir(place)
    opened, plan = cluster._prepared(jobs[0])
    engine = opened.engine
    changes = [
        Edit("ins", "a", 700, 700, sequence=(Segment.letters("ACGTACGTAC"), Segment("a", 5, 50))),
        Edit("del", "a", 1_013, 1_500),
    ]
    assert engine.source.contigs == apply_edits(source, changes).contigs
    assert type(engine.encodings).__name__ == "EncodingCache"  # --reencode
    assert [str(r) for r in plan.regions] == [f"a:0-{3_010 - 487 + 55:,}"]
    (tmp_path / "letters.fa").write_text(">one\nACGTACGTAA\n")
    cluster._kept.clear()
    with pytest.raises(EditError, match="have their files changed"):
        cluster._prepared(jobs[0])
    cluster._kept.clear()


def edited_line(place) -> list[str]:
    """``predict`` of an edited genome, with all that can stand beside it."""
    line = ["predict", "-q", "--model", str(place / "toy"), "--genome", str(place / "toy.fa")]
    line += ["--levels", "40,80,160", "--device", "cpu"]
    line += ["--edit", "a:1,013-1,500 del", "--edit", "b::c", "--lift-to-reference", "--diff"]
    return line


@pytest.fixture(scope="module")
def by_one_process(place, tmp_path_factory):
    """Folder with the files ``one.*`` that a single process writes."""
    folder = tmp_path_factory.mktemp("one")
    done = CliRunner().invoke(main, [*edited_line(place), "-o", str(folder / "one.mcool")])
    assert done.exit_code == 0, done.output
    return folder


@pytest.mark.long
@pytest.mark.parametrize("kind", ["torchrun", "dask"])
def test_several_processes_write_the_same_files(place, by_one_process, tmp_path, kind):
    line = edited_line(place)
    environment = runs.environment()
    if kind == "dask":
        pytest.importorskip("distributed")
        several = [
            sys.executable,
            "-m",
            "orca_cool",
            *line,
            "--dask",
            "local:2",
            "-o",
            "several.mcool",
        ]
    else:
        torchrun = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            "2",
        ]
        several = [*torchrun, "-m", "orca_cool", *line, "-o", "several.mcool"]
    subprocess.run(several, cwd=tmp_path, env=environment, check=True, capture_output=True)
    for end in ("mcool", "reference.mcool", "lifted.mcool", "diff.mcool"):
        assert pixels(by_one_process / f"one.{end}") == pixels(tmp_path / f"several.{end}")
    assert not list(tmp_path.glob("*.partial"))
