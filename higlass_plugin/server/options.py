"""What ``orca-cool serve`` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orca_cool.maps.weights import WEIGHT
from orca_cool.prediction import WINDOW_DTYPES, WINDOW_STORE_SIZE


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """What is served, to whom, and where.

    Attributes
    ----------
    models : names or folders of models.
    genomes : files, or names of shipped genomes: one that all models predict, or one for each
        model.
    files : maps, signals, genes and intervals that are shown with the predictions.
    clr_weight_name : column of balancing weights of the maps among them.
    host, port : address to listen on; port 0 finds a free one.
    token : "auto" makes one up, which requests must show. One of your own is no option, because
        other users of the machine see those.
    token_file : file with the token; None: that of the environment variable ORCA_COOL_TOKEN. Where
        there is neither, there is no token, which is allowed on the loopback interface only.
    origins : web pages that may list, edit and save ("https://resgen.io").
    blocking : answer requests for tiles when the tiles are computed, for HiGlass pages that do not
        ask again as our own does.
    wait : seconds that answers to HiGlass pages other than our own wait for predicted tiles,
        unless the server is blocking.
    browser : whether a browser is opened.
    device, dtype, encoder_dtype, force_dtype : see :class:`orca_cool.prediction.job.Job`.
    stores : folders of encodings, one for each model; none, or as many as models.
    window_store, window_store_dtype, window_store_size, chrom_names, any_genome : see
        :class:`orca_cool.prediction.job.Job`; all models share the store of windows.
    state : folder of edits and saved views; None: ``serve`` in the user's folder.
    cache_bytes : memory for windows and tiles.
    nproc : processes that predict. One: this one does; of more, each has the models open, and its
        part of the cores, or a GPU of its own.
    """

    models: tuple[str, ...]
    genomes: tuple[str, ...]
    files: tuple[Path, ...] = ()
    clr_weight_name: str = WEIGHT
    host: str = "127.0.0.1"
    port: int = 8989
    token: str | None = None
    token_file: Path | None = None
    origins: tuple[str, ...] = ()
    blocking: bool = False
    wait: float = 2.0
    browser: bool = True
    device: str = "auto"
    dtype: str = "float32"
    encoder_dtype: str = "float32"
    force_dtype: bool = False
    stores: tuple[Path, ...] = ()
    window_store: str | None = None
    window_store_dtype: str = WINDOW_DTYPES[0]
    window_store_size: float = WINDOW_STORE_SIZE
    chrom_names: str | None = None
    any_genome: bool = False
    state: Path | None = None
    cache_bytes: int = 1 << 30
    nproc: int = 1
