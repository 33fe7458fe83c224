"""Forms of the table of scores: a summary, Parquet, INFO fields of a VCF, a report, JSON."""

from __future__ import annotations

import builtins
import gzip
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import runs
from click.testing import CliRunner
from scipy import stats

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.effects.table_columns import COLUMNS, RANKED
from orca_cool.effects.vcf_info import fields_of

pysam = pytest.importorskip("pysam")
cyvcf2 = pytest.importorskip("cyvcf2")


def letters(engine, chrom, position, n=1):
    """Bases from a 1-based position on."""
    return "".join("ACGTN"[c] for c in engine.source.fetch(chrom, position - 1, position - 1 + n))


@pytest.fixture(scope="module")
def vcf(place, engine):
    """Two ALTs in a line, a symbolic one, a pair of breakends, one that cannot be scored, INFO."""
    base = {p: letters(engine, "a", p) for p in (3000, 4000, 5000, 6000)}
    other = {k: "ACGT"[("ACGT".find(k) + 1) % 4] for k in "ACGTN"}
    rows = [
        f"a\t3000\trs1\t{base[3000]}\t{other[base[3000]]},{base[3000]}TTAT\t50\tPASS\tAC=1,2\tGT\t0|1",
        f"a\t4000\t<b>\t{base[4000]}\t<DEL>\t.\tPASS\tEND=4400\tGT\t0|1",
        f"a\t5000\tpair_o\t{base[5000]}\t{base[5000]}[b:2001[\t.\tPASS\tSVTYPE=BND;MATEID=pair_h\tGT\t0|1",
        f"a\t6000\tcnv\t{base[6000]}\t<CNV>\t.\tPASS\tEND=6400\tGT\t0|1",
        f"b\t2001\tpair_h\t{letters(engine, 'b', 2001)}\t]a:5000]{letters(engine, 'b', 2001)}\t.\tPASS\tSVTYPE=BND;MATEID=pair_o\tGT\t0|1",
    ]
    head = ["##fileformat=VCFv4.3"]
    head += [f"##contig=<ID={c},length={n}>" for c, n in runs.SIZES.items()]
    head += ['##INFO=<ID=AC,Number=A,Type=Integer,Description="">']
    head += ['##INFO=<ID=END,Number=1,Type=Integer,Description="">']
    head += [f'##INFO=<ID={k},Number=1,Type=String,Description="">' for k in ("SVTYPE", "MATEID")]
    head += [f'##ALT=<ID={k},Description="">' for k in ("DEL", "CNV")]
    head += ['##FORMAT=<ID=GT,Number=1,Type=String,Description="">']
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tme"
    path = place / "forms.vcf"
    path.write_text("\n".join([*head, columns, *rows]) + "\n")
    return path


def line(place, variants, output, *more):
    where = ["-q", "-m", str(place / "toy"), "-g", str(place / "toy.fa"), "--device", "cpu"]
    return ["variants", str(variants), *where, "-o", str(output), *more]


def run(*arguments):
    done = CliRunner().invoke(main, line(*arguments))
    assert done.exit_code == 0, done.output
    return done


def read(path):
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=["nan", ""])


@pytest.fixture(scope="module")
def tables(place, vcf):
    """The plain table; with a null; its summary."""
    run(place, vcf, place / "plain.tsv")
    run(place, vcf, place / "nulled.tsv", "--null", "3")
    run(place, vcf, place / "sum.tsv", "--null", "3", "--summary")
    return {name: place / f"{name}.tsv" for name in ("plain", "nulled", "sum")}


def test_a_summary_against_the_table(tables):
    table, found = read(tables["nulled"]), read(tables["sum"])
    assert list(found["name"]) == list(dict.fromkeys(table["name"]))
    assert len(found) == 5
    scored = found[found["status"].str.startswith("ok")]
    for _, row in scored.iterrows():
        its = table[table["name"] == row["name"]].reset_index()
        for name in RANKED:
            if its[name].isna().all():
                assert np.isnan(row[name])
                continue
            best = its.loc[its[name].abs().idxmax()]
            assert row[name] == best[name]
            for more in (f"{name}_percentile", f"{name}_z"):
                np.testing.assert_equal(row[more], best[more])
            if name == "log_fold_change":
                assert (row["resolution"], row["site"]) == (best["resolution"], best["site"])
    values = scored["log_fold_change"].abs()
    assert list(scored["rank"]) == list(values.rank(ascending=False, method="min"))
    wanted = [stats.percentileofscore(values, v, kind="mean") for v in values]
    np.testing.assert_allclose(scored["rank_percentile"], wanted)
    bad = found[~found["status"].str.startswith("ok")]
    assert list(bad["name"]) == ["cnv"]
    assert bad[["rank", "rank_percentile", *RANKED]].isna().all(axis=None)


def test_another_score_ranks(place, vcf, tables, tmp_path):
    run(place, vcf, tmp_path / "s.tsv", "--summary", "--rank-by", "insulation_at")
    found = read(tmp_path / "s.tsv")
    values = found["insulation_at"].abs()
    expected = values.rank(ascending=False, method="min")
    np.testing.assert_array_equal(found["rank"].to_numpy(), expected.to_numpy())


@pytest.mark.parametrize("more", [[], ["--summary"]])
def test_parquet_is_the_same_table(place, vcf, tables, tmp_path, more):
    run(place, vcf, tmp_path / "t.tsv", *more)
    run(place, vcf, tmp_path / "t.parquet", *more)
    wanted, found = read(tmp_path / "t.tsv"), pd.read_parquet(tmp_path / "t.parquet")
    assert list(found.columns) == list(wanted.columns)
    for name in wanted.columns:
        if wanted[name].dtype == object:
            assert list(found[name].fillna("")) == list(wanted[name].fillna(""))
        else:
            texts = found[name].replace("", np.nan).astype(float)
            np.testing.assert_array_equal(texts, wanted[name].astype(float))
    assert found["start"].dtype == np.int64
    assert found["mse"].dtype == np.float64
    assert json.loads((tmp_path / "t.parquet.json").read_text())["form"] == "parquet"
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".json", ".json", ".parquet", ".tsv"]


def test_parquet_without_its_library(place, vcf, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("pyarrow"):
            raise ImportError("no", name="pyarrow")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    done = CliRunner().invoke(main, line(place, vcf, tmp_path / "t.parquet"))
    assert done.exit_code == 2
    assert "pip install 'orca-cool[parquet]', in a clone pip install '.[parquet]'" in done.output


@pytest.mark.parametrize("name", ["out.vcf.gz", "out.vcf"])
def test_scores_as_info(place, vcf, tables, tmp_path, name):
    """As pysam and cyvcf2 read them; all else of the lines is as it was."""
    out = tmp_path / name
    run(place, vcf, out, "--null", "3")
    summary = read(tables["sum"]).set_index(["chrom", "pos", "alt"])
    fields = fields_of(list(read(tables["sum"]).columns))
    assert {"ORCA_MSE", "ORCA_MSE_Z", "ORCA_RANK", "ORCA_NULL_PLACES"} <= set(fields)
    with pysam.VariantFile(str(out)) as file:
        declared = file.header.info
        assert all(declared[f].number == "A" for f in fields)
        assert "log2; positive is more contact" in declared["ORCA_INSULATION_AT"].description
        records = list(file)
    assert len(records) == 5
    checked = 0
    for record in records:
        for i, alt in enumerate(record.alts):
            key = (record.chrom, record.pos, alt)
            for field, column in fields.items():
                told = record.info[field][i] if field in record.info else None
                wanted = summary.loc[key, column] if key in summary.index else np.nan
                if pd.isna(wanted):
                    assert told is None
                else:
                    assert told == pytest.approx(wanted, rel=1e-6)  # htslib has float32
                    checked += 1
    assert checked > 60
    assert [f for f in records[4].info if f.startswith("ORCA")] == []  # told by its mate
    assert [v.INFO.get("ORCA_RANK") for v in cyvcf2.VCF(str(out))][1] == records[1].info[
        "ORCA_RANK"
    ][0]
    text = gzip.open(out, "rt").read() if name.endswith("gz") else out.read_text()
    stripped = [
        re.sub(r";?ORCA_\w+=[^;\t]*", "", x) for x in text.splitlines() if "ID=ORCA_" not in x
    ]
    assert stripped == vcf.read_text().splitlines()
    if name.endswith("gz"):
        pysam.tabix_index(str(out), preset="vcf")
        assert len(list(pysam.VariantFile(str(out)).fetch("a", 3_900, 4_100))) == 1
    again = tmp_path / f"again.{name}"
    run(place, out, again, "--null", "3")  # of an annotated file: fields are there once
    with pysam.VariantFile(str(again)) as file:
        assert [dict(r.info) for r in file] == [dict(r.info) for r in records]


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.sources, self.rows = [], [], 0

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [v for k, v in attrs if k in ("src", "href", "action", "srcset")]
        self.rows += tag == "tr"


def test_the_report_stands_for_itself(place, vcf, tables, tmp_path):
    done = run(place, vcf, tmp_path / "t.tsv", "--html", str(tmp_path / "r.html"), "--json")
    assert (tmp_path / "t.tsv").read_bytes() == tables["plain"].read_bytes()
    text = (tmp_path / "r.html").read_text()
    page = Page()
    page.feed(text)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert page.tags.count("img") == 4
    assert all(s.startswith("data:image/png;base64,") for s in page.sources)
    assert page.rows == 1 + 4
    assert [n for n in RANKED if f"<dt><code>{n}</code></dt><dd>" not in text] == []
    headers = re.findall(r"<th[^>]*>([^<]*)</th>", text)
    assert headers[:6] == ["rank", "name", "place", "kind", "resolution", "log_fold_change"]
    assert "default-src 'none'" in text
    assert "&lt;b&gt;" in text  # a name of the file is text, whatever it holds
    assert "<b>" not in text
    assert "1 x ALT type &#x27;&lt;CNV&gt;&#x27; is not known" in text
    told = json.loads(done.stdout)
    assert told["format"] == "orca-cool.outputs"
    paths = [str(tmp_path / n) for n in ("t.tsv", "r.html", "t.tsv.json")]
    assert [(o["path"], o["bytes"]) for o in told["outputs"]] == [
        (p, (tmp_path / p).stat().st_size) for p in paths
    ]
    assert told["numbers"]["scored"] == 4
    assert sum(told["numbers"]["unscored"].values()) == 1
    assert told["settings"]["module"] == "S"


def test_a_summary_on_standard_output(place, vcf, tables):
    done = run(place, vcf, "-", "--summary", "--null", "3")
    assert done.stdout == tables["sum"].read_text()
    header, *rows = done.stdout.splitlines()
    assert len(rows) == 5
    assert header.split("\t")[0] == COLUMNS[0]


def test_python_writes_the_same(place, vcf, tables, tmp_path):
    written = []
    summary = oc.score_variants(
        tmp_path / "t.tsv", variants=vcf, model=str(place / "toy"), genome=str(place / "toy.fa"),
        device="cpu", progress=False, summary=True, null=3, written=written,
    )  # fmt: skip
    assert (tmp_path / "t.tsv").read_bytes() == tables["sum"].read_bytes()
    assert oc.describe_scores(written, summary)["numbers"]["scored"] == 4


def test_a_run_of_another_form_does_not_go_on_with_it(place, vcf, tmp_path, monkeypatch):
    from orca_cool.effects import table

    monkeypatch.setattr(table, "batch_rows", lambda *a: 1 / 0)
    assert CliRunner().invoke(main, line(place, vcf, tmp_path / "t.tsv")).exit_code != 0
    monkeypatch.undo()
    done = CliRunner().invoke(main, line(place, vcf, tmp_path / "t.tsv", "--summary"))
    assert done.exit_code == 2
    assert "other settings" in done.output


@pytest.mark.parametrize(
    ("output", "more", "words"),
    [
        ("o.vcf.gz", ["--edit", "a:1,000-1,040 del"], "adds scores to the records of a VCF"),
        ("o.vcf", ["--summary"], "one number for each ALT already"),
        ("o.tsv", ["--rank-by", "best", "--summary"], "--rank-by 'best' is not a score"),
        ("o.tsv", ["--rank-by", "mse"], "is about --summary, --html or a VCF"),
        ("o.xlsx", [], "tables of scores are not written as .xlsx; give .tsv, .parquet"),
        ("o.tsv.gz", ["--summary"], "not written as .gz"),
        ("-", ["--json"], "standard output holds the table already"),
    ],
)
def test_what_does_not_go_together(place, vcf, tmp_path, output, more, words):
    variants = [] if "--edit" in more else [str(vcf)]
    where = ["-q", "-m", str(place / "toy"), "-g", str(place / "toy.fa"), "--device", "cpu"]
    out = output if output == "-" else str(tmp_path / output)
    done = CliRunner().invoke(main, ["variants", *variants, *where, "-o", out, *more])
    assert done.exit_code == 2, done.output
    assert words in done.output
    assert list(tmp_path.iterdir()) == []


def test_json_of_a_prediction(place, tmp_path):
    import cooler

    out = tmp_path / "p.mcool"
    done = CliRunner().invoke(main, [*runs.arguments(place, out), "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["settings"]["model"] == "toy"
    assert {o["path"] for o in told["outputs"]} >= {str(out)}
    assert set(told["numbers"]["p.mcool"]) == {str(r) for r in runs.LEVELS[:5]}
    for resolution, found in told["numbers"]["p.mcool"].items():
        clr = cooler.Cooler(f"{out}::resolutions/{resolution}")
        assert found["bins"] == clr.info["nbins"] == len(clr.bins())
        assert found["pixels"] == len(clr.pixels())
        assert found["sum"] == pytest.approx(clr.pixels()[:]["count"].sum())
