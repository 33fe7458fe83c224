"""The tracks above an edited genome's map: genes at their places in it, and what it changes of
scores.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Drawn, make_toy_expected, make_toy_model, make_toy_spec

from higlass_plugin.files.open import open_file
from higlass_plugin.registry.address import UrlError
from higlass_plugin.registry.tilesets import TilesetRegistry
from orca_cool.genome.edited import EditedGenome
from orca_cool.model.bundle import load_bundle, save_bundle

SIZES = {"a": 9_010, "b": 6_100}
SOURCE = Drawn(SIZES, ("b", 1_000, 1_415))
#: chromosome, start, end, name, strand; of the last one the exons are given, too.
GENES = [("a", 500, 900, "G1", "+"), ("a", 1_900, 2_600, "G2", "-"), ("b", 300, 800, "G3", "+")]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TilesetRegistry]:
    folder = tmp_path_factory.mktemp("rows")
    spec = make_toy_spec()
    model = save_bundle(folder / "toy", make_toy_model(spec), make_toy_expected(spec))
    bed = folder / "genes.bed"
    lines = ["\t".join(map(str, (*gene[:4], 0, gene[4]))) for gene in GENES]
    lines[-1] += "\t300\t800\t0\t2\t100,200,\t0,300,"
    bed.write_text("\n".join(lines) + "\n")
    with TilesetRegistry() as made:
        made.add(genes_of(bed, made))
        made.add_model("toy", load_bundle(model), "drawn", SOURCE, "drawn", device="cpu")
        yield made


def genes_of(bed: Path, registry: TilesetRegistry) -> Any:
    return open_file(bed, uid=registry.uid("genes"), chromsizes=SIZES, assembly="drawn")


def shown(registry: TilesetRegistry, uid: str) -> list[dict[str, Any]]:
    """All intervals of a tileset: those of its coarsest tile."""
    ((_, found),) = registry[uid].tiles([f"{uid}.0.0"])
    return found


@pytest.mark.parametrize(
    "edit",
    [
        "a:2000-2400 del",
        "a:500-900 inv",
        "a:700 ins ACGTACGTAC",
        "a:1800-2700 dup",
        "b:3000 ins a:400-1000",
        "a:2000(+)::b:500(-)",
    ],
)
def test_genes_are_where_their_bases_are(registry: TilesetRegistry, edit: str):
    """Against every base of the edited genome: the genes that it came from are those that are drawn
    there, on the strand that they have there.
    """
    edited = registry.edit([edit])
    (uid,) = (uid for kind, uid in edited.tilesets.items() if kind.startswith("file-"))
    tileset = registry[uid]
    assert (tileset.datatype, tileset.coord_system) == ("gene-annotation", edited.assembly)
    genome = tileset.genome
    assert isinstance(genome, EditedGenome)
    offset = 0
    entries = shown(registry, uid)
    for contig, size in genome.chromsizes.items():
        chroms, places, strands = genome.to_reference(contig, np.arange(size))
        expected = np.zeros((size, len(GENES)), int)
        for k, (chrom, start, end, _, strand) in enumerate(GENES):
            inside = (chroms == list(SIZES).index(chrom)) & (places >= start) & (places < end)
            expected[inside, k] = strands[inside] * (1 if strand == "+" else -1)
        drawn = np.zeros_like(expected)
        for entry in entries:
            fields = entry["fields"]
            if fields[0] != contig:
                continue
            assert entry["chrOffset"] == offset
            start, end = int(fields[1]), int(fields[2])
            assert (entry["xStart"], entry["xEnd"]) == (offset + start, offset + end)
            k = [gene[3] for gene in GENES].index(fields[3])
            drawn[start:end, k] += 1 if fields[5] == "+" else -1
        assert (drawn == expected).all()
        offset += size
    assert len({entry["uid"] for entry in entries}) == len(entries)


def test_exons_go_with_their_gene(registry: TilesetRegistry):
    edited = registry.edit(["b:300-800 inv"])
    (uid,) = (uid for kind, uid in edited.tilesets.items() if kind.startswith("file-"))
    (entry,) = (entry for entry in shown(registry, uid) if entry["fields"][3] == "G3")
    # 300-400 and 600-800 of an inverted 300-800 are 700-800 and 300-500
    assert entry["fields"][12:14] == ["300,700", "500,800"]
    assert entry["fields"][5] == "-"


def test_only_files_of_intervals_are_shown_on_edits(registry: TilesetRegistry):
    with pytest.raises(UrlError, match="no file 'nowhere'"):
        registry.open_url("orca://toy/drawn?edit=a%3A5%20A%3EG&track=file&file=nowhere")
    with pytest.raises(UrlError, match="for an edited genome"):
        registry.open_url("orca://toy/drawn?track=file&file=nowhere")


@pytest.mark.parametrize("track", ["insulation", "compartments"])
def test_the_change_of_a_score_is_alternate_less_reference(registry: TilesetRegistry, track: str):
    """After a deletion of ten bins, of all bins behind it the tenth before is the same sequence."""
    edited = registry.edit(["a:2000-2400 del"])
    uids = {
        "reference": registry.open_url(f"orca://toy/drawn?track={track}").uid,
        "alternate": edited.tilesets[track],
        "change": edited.tilesets[f"{track}-difference"],
    }

    def values(name: str) -> np.ndarray:
        tileset = registry[uids[name]]
        zoom = sorted(tileset.info()["resolutions"], reverse=True).index(40)
        ((_, tile),) = tileset.tiles([f"{uids[name]}.{zoom}.0"])
        assert "error" not in tile, tile["error"]
        return np.frombuffer(base64.b64decode(tile["dense"]), "<f4")

    reference, alternate, change = map(values, ("reference", "alternate", "change"))
    n = SIZES["a"] // 40
    expected = np.full(n, np.nan)
    expected[:50] = alternate[:50] - reference[:50]
    expected[60:n] = alternate[50 : n - 10] - reference[60:n]
    assert np.isfinite(expected).sum() > 100
    np.testing.assert_allclose(change[:n], expected, atol=1e-5)
    assert np.nanmax(np.abs(expected)) > 0.01, "nothing was tested"


def test_names_stay_as_typed(registry: TilesetRegistry):
    assert registry.edit(["a:1,000 T>G"]).name == "a:1,000 T>G"
    assert (
        registry.edit(["a:2,000-2,400   del", "b:5 ins AC"]).name == "a:2,000-2,400 del; b:5 ins AC"
    )
