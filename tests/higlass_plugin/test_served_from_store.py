"""A server with a window store: what was predicted before is shown without being computed."""

from __future__ import annotations

from contextlib import closing

import pytest
from conftest import Drawn, make_toy_expected, make_toy_model, make_toy_spec

from higlass_plugin.registry.tilesets import TilesetRegistry
from orca_cool.genome.regions import Region
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.prediction.batch_decoder import BatchDecoder
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.levels import Settings
from orca_cool.prediction.to_file import predict_to_file
from orca_cool.prediction.window_store import WindowStore

SIZES = {"a": 5_210, "b": 3_007}
SOURCE = Drawn(SIZES, ("b", 1_000, 1_415))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    spec = make_toy_spec()
    folder = tmp_path_factory.mktemp("models") / "toy"
    return load_bundle(save_bundle(folder, make_toy_model(spec), make_toy_expected(spec)))


def test_any_tile_of_a_predicted_genome_is_neither_encoded_nor_decoded(
    bundle, tmp_path, monkeypatch
):
    with closing(WindowStore(tmp_path / "w")) as store:
        predict_to_file(
            make_engine(bundle, SOURCE, "cpu", window_store=store),
            [Region(c, 0, n) for c, n in SIZES.items()],
            Settings((40, 80, 160, 320, 640), trans=True),
            tmp_path / "x.mcool",
            assembly="drawn",
            provenance={},
        )
    decoded = []
    decode = BatchDecoder.decode

    def counted(self, module, resolution, windows):
        decoded.extend(windows)
        return decode(self, module, resolution, windows)

    monkeypatch.setattr(BatchDecoder, "decode", counted)

    def shown(registry):
        uid = next(t.uid for t in registry.listed() if t.datatype == "matrix")
        sizes = registry[uid].axis
        ids = [
            f"{uid}.{zoom}.{x}.{y}"
            for zoom, resolution in enumerate(registry[uid].resolutions)
            for x in range(sizes.tiles(resolution, 256))
            for y in range(x, sizes.tiles(resolution, 256))
        ]
        tiles = registry.tiles(ids, wait=None)
        assert not [tile["error"] for tile in tiles.values() if "error" in tile]
        return {k.partition(".")[2]: t["dense"] for k, t in tiles.items()}

    with closing(WindowStore(tmp_path / "w")) as store, TilesetRegistry() as registry:
        registry.add_model(
            "toy", bundle, "drawn", SOURCE, "drawn", device="cpu", window_store=store
        )
        stored = shown(registry)
        predicted = registry[registry.listed()[0].uid].predicted
        assert (len(decoded), predicted.engine.encoded_bp, store.misses) == (0, 0, 0)
        assert store.hits > 0
    with TilesetRegistry() as registry:
        registry.add_model("toy", bundle, "drawn", SOURCE, "drawn", device="cpu")
        assert shown(registry) == stored
    assert decoded
