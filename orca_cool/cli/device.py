"""The options that say where networks run, and in which number types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from orca_cool.model import DECODER_DTYPES, ENCODER_DTYPES

DEVICE_OPTIONS: list[Callable[[Any], Any]] = [
    click.option(
        "--device",
        default="auto",
        show_default=True,
        help="auto, cpu, cuda, cuda:N or mps (Apple).",
    ),
    click.option(
        "--dtype",
        default="float32",
        show_default=True,
        type=click.Choice(DECODER_DTYPES),
        help="Number type of the decoders; tf32 (CUDA) and bfloat16 approximate. bfloat16 "
        "gains on processors with AMX or AVX512-BF16 and on GPUs; where a short timing "
        "shows that it is slower, float32 is used.",
    ),
    click.option(
        "--encoder-dtype",
        default="float32",
        show_default=True,
        type=click.Choice(ENCODER_DTYPES),
        help="Number type of the encoder; tf32 and float16 (CUDA) and bfloat16 (CPU) approximate, "
        "and give way likewise. A --store of them is a file of its own.",
    ),
    click.option(
        "--force-dtype",
        is_flag=True,
        help="Keep --dtype and --encoder-dtype even where float32 is faster.",
    ),
]
