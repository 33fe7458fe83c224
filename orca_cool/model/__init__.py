"""Networks of the Orca family, built by loops over a :class:`~orca_cool.model.spec.ModelSpec`, and
models as files.
"""

from __future__ import annotations

#: Number types in which the decoders run, and the encoder; float32 is exact, the others approximate
#: (tf32 and float16 need a CUDA device, bfloat16 of the encoder a CPU).
DECODER_DTYPES = ("float32", "tf32", "bfloat16")
ENCODER_DTYPES = ("float32", "tf32", "float16", "bfloat16")
