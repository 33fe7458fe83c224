"""`orca-cool variants`: a table of scores of many variants, and what stays of it when the run is
killed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import runs
from click.testing import CliRunner
from damage import KINDS, damage

from orca_cool.cli import main
from orca_cool.effects import table as table_module
from orca_cool.effects import variant_rows
from orca_cool.effects.align import Reference, compare
from orca_cool.effects.scores import SCORES, score
from orca_cool.effects.table import write_table
from orca_cool.effects.table_columns import COLUMNS
from orca_cool.effects.variant_rows import Scoring
from orca_cool.errors import OutputError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.variants import read_variants

pytest.importorskip("cyvcf2", reason="cyvcf2 is not installed (pip install orca-cool[variants])")

HEADER = (
    "##fileformat=VCFv4.2\n"
    + "".join(f"##contig=<ID={c},length={n}>\n" for c, n in runs.SIZES.items())
    + '##INFO=<ID=SVTYPE,Number=1,Type=String,Description="">\n##INFO=<ID=END,Number=1,Type=Integer,Description="">\n'
    + '##ALT=<ID=DEL,Description="">\n##ALT=<ID=INV,Description="">\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n'
)


def letter(engine, chrom, position):
    """The base at a 1-based position."""
    return "ACGTN"[engine.source.fetch(chrom, position - 1, position)[0]]


@pytest.fixture(scope="module")
def vcf(place, engine):
    """SNVs, an indel, structural variants; one with a wrong REF, one of an unknown type, one that
    leaves nothing.
    """
    lines = []
    for k, position in enumerate(range(4000, 4200, 20)):
        ref = letter(engine, "a", position)
        lines.append(f"a\t{position}\tsnv{k}\t{ref}\t{'A' if ref != 'A' else 'C'}\t.\t.\t.")
    ref = letter(engine, "a", 5000)
    lines.append(f"a\t5000\tins\t{ref}\t{ref}GATTACA\t.\t.\t.")
    wrong = "A" if letter(engine, "a", 5100) != "A" else "C"
    lines.append(
        f"a\t5100\twrong\t{wrong}\tG\t.\t.\t."
        if letter(engine, "a", 5100) != "N"
        else "a\t5100\twrong\tX\tG\t.\t.\t."
    )
    lines.append(f"a\t6000\tdel\t{letter(engine, 'a', 6000)}\t<DEL>\t.\t.\tSVTYPE=DEL;END=6400")
    lines.append(f"b\t2000\tinv\t{letter(engine, 'b', 2000)}\t<INV>\t.\t.\tSVTYPE=INV;END=2080")
    lines.append(f"b\t3000\tcnv\t{letter(engine, 'b', 3000)}\t<CNV>\t.\t.\tSVTYPE=CNV;END=3080")
    lines.append(f"c\t1\tshort\t{letter(engine, 'c', 1)}\t<DEL>\t.\t.\tSVTYPE=DEL;END=890")
    path = place / "in.vcf"
    path.write_text(HEADER + "\n".join(lines) + "\n")
    return path


def table(path):
    return pd.read_csv(
        path, sep="\t", dtype={"status": str}, keep_default_na=False, na_values=["nan", ""]
    )


def arguments(place, vcf, output):
    model, genome = str(place / "toy"), str(place / "toy.fa")
    return [
        "variants",
        "-q",
        str(vcf),
        "--model",
        model,
        "--genome",
        genome,
        "-o",
        str(output),
        "--device",
        "cpu",
    ]


@pytest.fixture(scope="module")
def whole(place, vcf):
    """The table written in one go, on the command line, with matrices."""
    result = CliRunner().invoke(
        main, [*arguments(place, vcf, place / "whole.tsv"), "--maps", str(place / "maps")]
    )
    assert result.exit_code == 0, result.output
    assert "not scored: 1 x ALT type '<CNV>'" in result.output
    assert "13 of 16 variants scored" in result.output
    return place / "whole.tsv"


def test_rows(whole, vcf, engine):
    rows = table(whole)
    assert tuple(rows.columns) == COLUMNS
    assert list(dict.fromkeys(rows["name"])) == [
        *[f"snv{k}" for k in range(10)],
        "ins",
        "wrong",
        "del",
        "inv",
        "cnv",
        "short",
    ]
    good = rows[rows["status"].str.startswith("ok")]
    assert set(good["resolution"]) == {160, 80, 40}
    assert good.groupby("name")["resolution"].count().eq(3).all()
    assert (good["mse"] > 0).all()
    bad = rows[~rows["status"].str.startswith("ok")].set_index("name")
    assert list(bad.index) == ["wrong", "cnv", "short"]
    assert bad[list(SCORES)].isna().all(axis=None)
    assert "<CNV>" in bad.loc["cnv", "status"]
    assert bad.loc["cnv", "where"] == f"in.vcf line {HEADER.count(chr(10)) + 15}"
    assert "shorter than one bin of 40 bp" in bad.loc["short", "status"]
    assert rows.set_index("name").loc["del", "start"].iloc[0] == 6000  # POS 6000 is the base before
    assert rows.set_index("name").loc["del", "end"].iloc[0] == 6400


def test_numbers_are_those_of_each_variant_alone(whole, vcf, engine):
    rows = table(whole).set_index(["name", "resolution"])
    module = engine.spec.module("S")
    for variant in read_variants(vcf, engine.source):
        if variant.name not in ("snv3", "ins", "del", "inv"):
            continue
        fresh = Reference(runs.engine(vcf.parent), module)
        (found,) = compare(fresh, [apply_edits(fresh.engine.source, variant.changes)])
        for c in found:
            for name, value in score(c).items():
                assert rows.loc[(variant.name, c.resolution), name] == pytest.approx(
                    value, rel=1e-3, abs=1e-6, nan_ok=True
                ), name


def test_matrices(whole, place):
    names = sorted(p.name for p in (place / "maps").iterdir())
    assert names[0] == "000001_snv0.npz"
    assert len(names) == 13
    rows = table(whole).set_index(["name", "resolution"])
    with np.load(place / "maps" / "000013_del.npz") as data:
        about = json.loads(str(data["about"]))
        assert about["segments"]["a"] == ["a:0-6,000(+)", "a:6,400-9,010(+)"]
        for row in about["maps"]:
            a, b = data[f"alternate_{row['key']}"], data[f"reference_{row['key']}"]
            known = np.triu(np.isfinite(b))
            assert np.mean((a - b)[known] ** 2) == pytest.approx(
                rows.loc[("del", row["resolution"]), "mse"], rel=1e-4
            )


def test_settings_are_beside_the_table(whole):
    about = json.loads((whole.parent / "whole.tsv.json").read_text())
    assert (about["format"], about["model"], about["module"], about["scored"]) == (
        "orca-cool.scores",
        "toy",
        "S",
        13,
    )
    assert sum(about["unscored"].values()) == 3


def test_a_run_that_fails_anywhere_goes_on_to_the_same_table(
    place, vcf, engine, whole, tmp_path, monkeypatch
):
    variants = list(read_variants(vcf, engine.source))
    module, real = engine.spec.module("S"), table_module.batch_rows
    calls = []

    def failing(reference, some, first, *rest):
        calls.append(first)
        if len(calls) % 3 == 0:
            raise RuntimeError("no more")
        return real(reference, some, first, *rest)

    monkeypatch.setattr(table_module, "batch_rows", failing)
    monkeypatch.setattr(engine.decoder, "batch", 4)
    out = tmp_path / "scores.tsv"

    def run(**changes):
        reference = Reference(engine, module)
        return write_table(
            reference, variants, out, Scoring(module.resolutions), identity={}, **changes
        )

    for _ in range(20):
        try:
            summary = run()
            break
        except RuntimeError:
            assert not out.exists()
            with open(out.with_name("scores.tsv.partial") / "rows.tsv", "a") as stream:
                stream.write("torn ro")  # what a kill may leave
            with open(out.with_name("scores.tsv.partial") / "journal.jsonl", "a") as stream:
                stream.write('{"variants": 2, "sc')
    assert summary.scored == 13
    assert calls == sorted(calls)
    pd.testing.assert_frame_equal(table(out), table(whole))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scores.tsv", "scores.tsv.json"]


def test_a_haplotype_is_no_variant(engine, tmp_path, monkeypatch):
    """Its places would be decoded together: there is a limit."""
    edits = "; ".join(f"a:{p}-{p + 1} sub N" for p in range(100, 9_000, 60))
    (tmp_path / "many.edits").write_text(f"many\t{edits}\none\ta:4000-4010 del\n")
    variants = list(read_variants(tmp_path / "many.edits", engine.source))
    assert [v.problem for v in variants] == ["", ""]
    monkeypatch.setattr(variant_rows, "MAX_SITES", 8)
    module = engine.spec.module("B")  # half a window is 320 bp
    summary = write_table(
        Reference(engine, module), variants, tmp_path / "t.tsv", Scoring((40,)), identity={}
    )
    assert summary.scored == 1
    (reason,) = summary.unscored
    assert re.fullmatch(
        r"it has breakpoints at \d+ places, more than 8; predict it with `orca-cool predict "
        r"--edit`",
        reason,
    )


def dialects(place, engine):
    """A VCF as several callers would write it together: alleles in letters, several ALTs, symbolic
    ones, breakends in pairs (GRIDSS) and alone (Sniffles, DELLY), and what cannot be scored.
    """
    a, b = (lambda p, c=c: letter(engine, c, p) for c in "ab")
    other = {k: "ACGT"[("ACGT".find(k) + 1) % 4] for k in "ACGTN"}
    lines = [
        f"a\t3000\trs1\t{a(3000)}\t{other[a(3000)]},{a(3000)}TTAT\t.\tPASS\t.",
        f"a\t3500\t.\t{a(3500)}\t<DEL>,<DUP>\t.\tPASS\tSVLEN=-200,600;END=4100",
        f"a\t4000\tpair_o\t{a(4000)}\t{a(4000)}[b:2001[\t.\tPASS\tSVTYPE=BND;MATEID=pair_h",
        f"a\t5000\tsingle\t{a(5000)}\t{a(5000)}ACG.\t.\tPASS\tSVTYPE=BND",
        f"a\t5000\t.\t{a(5000)}\t<CNV>\t.\tPASS\tEND=5400",
        f"b\t2001\tpair_h\t{b(2001)}\t]a:4000]{b(2001)}\t.\tPASS\tSVTYPE=BND;MATEID=pair_o",
        "b\t3000\tSniffles2.BND.1\tN\t]a:7000]N\t.\tPASS\tSVTYPE=BND;CHR2=a",
        f"b\t4000\trs2\t{other[b(4000)]}\t{b(4000)}\t.\tq10\t.",
    ]
    info = ["END,Number=1,Type=Integer", "SVLEN,Number=.,Type=Integer"]
    info += [f"{key},Number=.,Type=String" for key in ("SVTYPE", "MATEID", "CHR2")]
    head = ["##fileformat=VCFv4.3", '##FILTER=<ID=q10,Description="">']
    head += [f"##contig=<ID={c},length={n}>" for c, n in runs.SIZES.items()]
    head += [f'##INFO=<ID={text},Description="">' for text in info]
    head += [f'##ALT=<ID={kind},Description="">' for kind in ("DEL", "DUP", "CNV")]
    path = place / "dialects.vcf"
    path.write_text("\n".join([*head, HEADER.splitlines()[-1], *lines]) + "\n")
    return path


def test_the_table_joins_with_its_vcf(place, engine, tmp_path):
    """By id, chrom, pos, ref and alt, with the file as pysam reads it."""
    import pysam

    path, out = dialects(place, engine), tmp_path / "t.tsv"
    result = CliRunner().invoke(main, arguments(place, path, out))
    assert result.exit_code == 0, result.output
    assert "6 of 9 variants scored" in result.output
    keys = ["id", "chrom", "pos", "ref", "alt"]
    ours = table(out)
    with pysam.VariantFile(str(path)) as file:
        theirs = pd.DataFrame(
            [(r.id or ".", r.chrom, r.pos, r.ref, alt) for r in file for alt in r.alts],
            columns=keys,
        )
    joined = theirs.merge(ours, on=keys, how="outer", indicator=True)
    assert list(joined.loc[joined["_merge"] != "both", "id"]) == ["pair_h"]  # told by pair_o
    status = joined[joined["_merge"] == "both"].drop_duplicates(keys).set_index(keys)["status"]
    assert {k[0] for k, s in status.items() if not s.startswith("ok")} == {"single", ".", "rs2"}
    assert sum(s.startswith("ok") for s in status) == 6
    rows = ours[ours["resolution"] == 40].drop_duplicates("name").set_index("name")
    assert [rows.loc[f"a:3500 <{k}>", "end"] for k in ("DEL", "DUP")] == [3_700, 4_100]
    assert rows.loc["Sniffles2.BND.1", "start"] == 3_000 - 1


def test_nothing_scored_is_another_exit_code(place, engine, tmp_path):
    """A table is written that says why; --strict stops before it."""
    lines = dialects(place, engine).read_text().splitlines(keepends=True)
    bad = tmp_path / "bad.vcf"
    bad.write_text("".join(x for x in lines if x[0] == "#" or "single" in x or "<CNV>" in x))
    for output in (tmp_path / "t.tsv", "-"):
        result = CliRunner().invoke(main, arguments(place, bad, output))
        assert result.exit_code == 1
        assert "0 of 2 variants scored" in result.stderr
        assert "Error: no variant could be scored; the column status" in result.stderr
        assert "Traceback" not in result.output
    statuses = list(table(tmp_path / "t.tsv")["status"])
    assert statuses[0].endswith("ACG.' is a single breakend: where it is joined to is not known")
    assert "'<CNV>' is not known" in statuses[1]
    strict = CliRunner().invoke(main, [*arguments(place, bad, tmp_path / "s.tsv"), "--strict"])
    assert strict.exit_code == 2
    assert not (tmp_path / "s.tsv").exists()


def test_an_unfinished_table_with_other_columns_is_not_gone_on_with(
    place, vcf, engine, tmp_path, monkeypatch
):
    variants = list(read_variants(vcf, engine.source))[:2]
    out = tmp_path / "scores.tsv"

    def run(**changes):
        reference = Reference(engine, engine.spec.module("S"))
        return write_table(reference, variants, out, Scoring((40,)), identity={}, **changes)

    monkeypatch.setattr(table_module, "batch_rows", lambda *a: 1 / 0)
    monkeypatch.setattr(table_module, "FORMAT_VERSION", 1)
    with pytest.raises(ZeroDivisionError):
        run()
    monkeypatch.undo()
    with pytest.raises(OutputError, match=r"other settings \(format_version\); .*--force"):
        run()
    assert run(force=True).scored == 2


def test_another_run_does_not_go_on_with_it(place, vcf, engine, tmp_path, monkeypatch):
    variants = list(read_variants(vcf, engine.source))[:3]
    module = engine.spec.module("S")
    out = tmp_path / "scores.tsv"

    def run(resolutions=(40,), **changes):
        return write_table(
            Reference(engine, module),
            variants,
            out,
            Scoring(resolutions),
            **{"identity": {"file": "x"}, **changes},
        )

    monkeypatch.setattr(table_module, "batch_rows", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run()
    monkeypatch.undo()
    with pytest.raises(OutputError, match=r"other settings \(file\)"):
        run(identity={"file": "y"})
    with pytest.raises(OutputError, match=r"other settings \(resolutions\)"):
        run(resolutions=(80,))
    run(identity={"file": "y"}, force=True)
    with pytest.raises(OutputError, match="exists"):
        run()


class Stopped(BaseException):
    """As KeyboardInterrupt, which pytest would take for its own."""


@pytest.fixture(scope="module")
def interrupted(vcf, engine, tmp_path_factory):
    """How a table is written in blocks of three variants; a work folder with three of them; the
    whole table.
    """
    variants = list(read_variants(vcf, engine.source))
    module = engine.spec.module("S")
    folder = tmp_path_factory.mktemp("interrupted")

    def write(output, stop=99):
        def until(done, total):
            if done >= stop:
                raise Stopped

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(table_module, "batch_size", lambda engine: 3)
            return write_table(
                Reference(engine, module),
                variants,
                output,
                Scoring(module.resolutions),
                identity={"file": "x"},
                progress=until,
            )

    write(folder / "whole.tsv")
    with pytest.raises(Stopped):
        write(folder / "scores.tsv", stop=9)
    return write, folder / "scores.tsv.partial", folder / "whole.tsv"


def go_on(interrupted, tmp_path, caplog):
    """The table, its summary, and the warnings of a run that goes on with what is in
    ``tmp_path``.
    """
    write, _, whole = interrupted
    caplog.clear()
    output = tmp_path / "scores.tsv"
    summary = write(output)
    assert summary.scored == 13
    assert sum(summary.unscored.values()) == 3
    assert output.read_bytes() == whole.read_bytes()
    assert json.loads((tmp_path / "scores.tsv.json").read_text())["scored"] == 13
    for path in tmp_path.glob("scores.tsv*"):
        path.unlink()  # no folder is left
    return [r.getMessage() for r in caplog.records if r.name.startswith("orca_cool")]


def test_zeros_of_a_power_cut_are_not_in_the_table(interrupted, tmp_path, caplog):
    """The size is there, the data are not: those rows are told, and scored again."""
    here = shutil.copytree(interrupted[1], tmp_path / "scores.tsv.partial")
    data = (here / "rows.tsv").read_bytes()
    (here / "rows.tsv").write_bytes(data[:-300] + bytes(300))
    (warning,) = go_on(interrupted, tmp_path, caplog)
    assert "is damaged (1 of its blocks of rows" in warning
    assert "these variants are scored again" in warning


def test_only_the_lost_block_is_scored_again(interrupted, tmp_path, caplog, monkeypatch):
    here = shutil.copytree(interrupted[1], tmp_path / "scores.tsv.partial")
    data = (here / "rows.tsv").read_bytes()
    (here / "rows.tsv").write_bytes(data[:10] + b"?" + data[11:])
    calls, real = [], table_module.batch_rows

    def counted(reference, some, first, scoring):
        calls.append((first, len(some)))
        return real(reference, some, first, scoring)

    monkeypatch.setattr(table_module, "batch_rows", counted)
    go_on(interrupted, tmp_path, caplog)
    assert calls == [(0, 3), (9, 3), (12, 3), (15, 1)]


def test_an_unfinished_table_of_a_former_version(interrupted, tmp_path, caplog):
    """It has no checksums: it is told, and begun anew; one of other settings is refused."""
    here = shutil.copytree(interrupted[1], tmp_path / "scores.tsv.partial")
    first = (here / "journal.jsonl").read_text().splitlines()[0]
    settings = json.loads(first.partition(" ")[2])["settings"]
    former = json.dumps({"settings": settings | {"file": "y"}, "bytes": 3}) + "\n"
    (here / "journal.jsonl").write_text(former)
    with pytest.raises(OutputError, match=r"other settings \(file\)"):
        go_on(interrupted, tmp_path, caplog)
    (here / "journal.jsonl").write_text(json.dumps({"settings": settings, "bytes": 3}) + "\n")
    (warning,) = go_on(interrupted, tmp_path, caplog)
    assert "was left by a former version; the table begins anew" in warning


@pytest.mark.parametrize(
    "number", [12, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(7200)])]
)
def test_any_damage_to_an_unfinished_table(interrupted, tmp_path, caplog, number):
    """Whatever happens to rows or journal, the table is the undisturbed one."""
    rng = np.random.default_rng(number)
    told = 0
    for k in range(number):
        here = shutil.copytree(interrupted[1], tmp_path / "scores.tsv.partial")
        damage(here / ("rows.tsv", "journal.jsonl")[k % 2], KINDS[k // 2 % 6], rng)
        told += bool(go_on(interrupted, tmp_path, caplog))
    print(f"{number} damaged, {told} told")
    assert told >= number // 2  # a journal that is cut at a line's end, or gone, is a shorter one


@pytest.mark.slow
def test_two_processes_on_one_table(place, vcf, whole, tmp_path):
    """One writes it, the other is told: no row is there twice."""
    line = [sys.executable, "-m", "orca_cool", *arguments(place, vcf, tmp_path / "v.tsv")]
    options = {"env": runs.environment(), "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(line, **options) for _ in range(2)]
    errors = [p.communicate()[1] for p in processes]
    assert sorted(p.returncode for p in processes) == [0, 2], errors
    text = next(e for p, e in zip(processes, errors) if p.returncode == 2)
    assert "is in use" in text or "exists; use --force" in text  # the first may have ended
    ours = table(tmp_path / "v.tsv")
    assert not ours.duplicated(["name", "resolution", "site"]).any()
    pd.testing.assert_frame_equal(ours, table(whole))


@pytest.mark.long  # like test_kills.py, which kills every verb
@pytest.mark.parametrize("moments", [(0.4, 0.9, 1.6)])
def test_killed_on_the_command_line(place, vcf, whole, tmp_path, moments):
    line = [sys.executable, "-m", "orca_cool", *arguments(place, vcf, tmp_path / "scores.tsv")]
    rows = tmp_path / "scores.tsv.partial" / "rows.tsv"
    kills = 0
    for moment in moments:
        process = subprocess.Popen(
            line,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        size = rows.stat().st_size if rows.exists() else 0
        begin = time.monotonic()
        while (
            process.poll() is None
            and (rows.stat().st_size if rows.exists() else 0) <= size
            and time.monotonic() - begin < 60
        ):
            time.sleep(0.005)
        time.sleep(moment / 100)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills
    subprocess.run(line, check=True, capture_output=True)
    ours, wanted = table(tmp_path / "scores.tsv"), table(whole)
    assert list(ours["name"]) == list(wanted["name"])
    pd.testing.assert_frame_equal(ours, wanted, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["--strict"], ["in.vcf line", "REF"]),
        (["--module", "Q"], ["no module 'Q'"]),
        (["--levels", "640"], ["level 640", "'S'"]),
        (["--shifts", "a"], ["--shifts 'a'"]),
        (["--loops", "none.bedpe"], ["none.bedpe"]),
        (["--edges", "real", "--device", "cuda:7"], ["cuda:7"]),
    ],
)
def test_bad_input(place, vcf, tmp_path, extra, words):
    result = CliRunner().invoke(main, [*arguments(place, vcf, tmp_path / "out.tsv"), *extra])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.output
    assert not list(tmp_path.glob("out.tsv"))
