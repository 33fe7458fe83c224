"""In which number types the networks of a run compute.

A number type other than float32 approximates, to be faster. Whether it is faster depends on the
processor: bfloat16 is several times slower where a processor has no instructions for it. So what is
asked for is timed against float32, on a part of the model's own networks, and float32 is used where
that is faster, unless the type is forced.

It is chosen once a run, when its first engine is made, and becomes part of what its files say of
their numbers (``Engine.numerics``): a run that goes on takes what the first attempt has chosen, and
all who share a run take what one of them has chosen, so that numbers do not depend on how fast a
machine happened to be. Nothing here imports torch before something is timed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool.errors import CoolerError, DeviceError, OrcaCoolError
from orca_cool.journal import settings_in
from orca_cool.model import DECODER_DTYPES, ENCODER_DTYPES
from orca_cool.prediction.parallel import is_restarted

if TYPE_CHECKING:
    import torch

    from orca_cool.model.window_model import WindowModel
    from orca_cool.prediction.job import Job, Say

FLOAT32 = "float32"

#: Seconds for which a number type and float32 are timed.
BUDGET = 0.05

#: On a CPU a call that takes so many times as long as in float32 is not repeated, from so many
#: seconds on: what else the first call does (making kernels) takes less.
HOPELESS, LEAST = 4, 0.1

#: bp of sequence that the encoder is timed on.
SAMPLE_BP = 8000


@dataclass(frozen=True)
class NumberTypes:
    """The number types of decoders and encoder.

    Attributes
    ----------
    told : what the user should know of how they were chosen, in lines.
    """

    dtype: str
    encoder_dtype: str
    told: tuple[str, ...] = ()

    def given_up(self, job: Job) -> dict[str, str]:
        """What a job asks for and is not computed in, for ``Engine.numerics``; empty if it gets
        what it asks for.
        """
        asked = {"dtype": job.dtype, "encoder_dtype": job.encoder_dtype}
        return {f"{k}_asked": v for k, v in asked.items() if getattr(self, k) != v}


def check_types(dtype: str, encoder_dtype: str, force_dtype: bool) -> None:
    """DeviceError if a number type is not known, or there is none to be forced."""
    for kind, value, known in (
        ("number type", dtype, DECODER_DTYPES),
        ("encoder's number type", encoder_dtype, ENCODER_DTYPES),
    ):
        if value not in known:
            raise DeviceError(f"{kind} {value!r} is not known; use one of {', '.join(known)}")
    if force_dtype and (dtype, encoder_dtype) == (FLOAT32, FLOAT32):
        raise DeviceError(
            "--force-dtype keeps what --dtype or --encoder-dtype asks for, and both are "
            f"{FLOAT32!r}; give one of them"
        )


class Choice:
    """What is chosen for a run. All models and genomes that are opened for it share the object."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], NumberTypes] = {}

    def of(self, job: Job, model: WindowModel, say: Say) -> NumberTypes:
        """The types that a job's networks compute in; chosen when that is asked first.

        Parameters
        ----------
        model : on which types are timed. say : told what the user should know.

        Raises
        ------
        DeviceError
            If a type is not to be had on the job's device.
        """
        found = self._at_hand(job)
        if found is None:
            asked = job.dtype, job.encoder_dtype
            dtype, encoder_dtype, told = job.agreed(
                lambda: astuple(recorded(job) or chosen(model, job.device, *asked))
            )
            found = NumberTypes(dtype, encoder_dtype, tuple(told))
            self._made[asked] = found
            for line in found.told:
                say(line)
        return found

    def known(self, job: Job) -> NumberTypes | None:
        """The same where nothing is left to time: it is chosen, or an earlier attempt at the job's
        output says it; else None.
        """
        return self._at_hand(job) or recorded(job)

    def learn(self, job: Job, say: Say = lambda line: None) -> None:
        """Take over what an attempt at the job's output says, unless something is chosen."""
        if self._at_hand(job) is None and (found := recorded(job)) is not None:
            self._made[job.dtype, job.encoder_dtype] = found
            for line in found.told:
                say(line)

    def _at_hand(self, job: Job) -> NumberTypes | None:
        asked = NumberTypes(job.dtype, job.encoder_dtype)
        if job.force_dtype or asked == NumberTypes(FLOAT32, FLOAT32):
            return asked
        if job.settled is not None:
            return NumberTypes(*job.settled)
        return self._made.get((job.dtype, job.encoder_dtype))


def settled_by(job: Job, numerics: Mapping[str, str]) -> tuple[str, str] | None:
    """Of a worker's ``Engine.numerics`` what the other workers are told (``Job.settled``)."""
    if job.force_dtype or (job.dtype, job.encoder_dtype) == (FLOAT32, FLOAT32):
        return None
    return numerics.get("dtype", FLOAT32), numerics.get("encoder_dtype", FLOAT32)


def recorded(job: Job) -> NumberTypes | None:
    """What an attempt at a job's output has chosen, of the same types; None if there is none.

    Asked are the journal of a run that was killed, and the .mcool of one beside which files are
    still to come.
    """
    output = getattr(job, "output", None)
    if output in (None, "-") or (getattr(job, "force", False) and not is_restarted()):
        return None
    path = Path(output)
    found = settings_in(path.with_name(f"{path.name}.partial") / "journal.jsonl")
    if not found and path.suffix == ".mcool" and path.exists():
        found = _metadata(path)
    if "dtype" not in found or "encoder_dtype" not in found:
        return None
    used = found["dtype"], found["encoder_dtype"]
    asked = found.get("dtype_asked", used[0]), found.get("encoder_dtype_asked", used[1])
    if asked != (job.dtype, job.encoder_dtype):
        return None
    told = tuple(
        f"going on in float32, since {wanted} {part} were slower where this run began"
        for part, wanted, got in zip(("decoders", "encoders"), asked, used)
        if wanted != got
    )
    return NumberTypes(*used, told)


def _metadata(path: Path) -> dict[str, Any]:
    """What an .mcool of ours says of its making; of any other file nothing."""
    from orca_cool.maps.coolfile import read_layer
    from orca_cool.maps.open import open_map

    with contextlib.suppress(OrcaCoolError, CoolerError):
        file = open_map(path)
        return dict(read_layer(file.uri(max(file.resolutions)))[1])
    return {}


def chosen(model: WindowModel, device: str, dtype: str, encoder_dtype: str) -> NumberTypes:
    """Number types by the clock: what is asked for, or float32 where that is faster.

    Parameters
    ----------
    model : that is timed; of one that cannot encode, which decides itself, nothing is changed.
    device, dtype, encoder_dtype : what is asked for, see :class:`orca_cool.prediction.job.Job`.

    Raises
    ------
    DeviceError
        If a type is not to be had on the device.
    """
    from orca_cool.model.bundle import Model
    from orca_cool.model.fast.decoder import FastCascade
    from orca_cool.model.fast.encoder import FastEncoder
    from orca_cool.prediction.device import resolve_device

    if not isinstance(model, Model) or (dtype, encoder_dtype) == (FLOAT32, FLOAT32):
        return NumberTypes(dtype, encoder_dtype)
    where = resolve_device(device)
    networks, bins = model.model.to(where).eval(), model.spec.bins
    told: list[str] = []

    def faster(part: str, kind: str, sample: Callable[[str], Callable[[], object]]) -> str:
        if kind == FLOAT32:
            return kind
        approximate, exact = sample(kind), sample(FLOAT32)
        before, after = compare(exact, approximate, where)
        if after < before:
            return kind
        told.append(
            f"{kind} {part} is slower here than float32 ({_ms(after)} against {_ms(before)} "
            f"for the same work), so float32 is used; --force-dtype keeps "
            f"{kind}"
        )
        return FLOAT32

    return NumberTypes(
        faster("decoding", dtype, lambda t: FastCascade(networks, where, t).sample(bins)),
        faster(
            "encoding",
            encoder_dtype,
            lambda t: FastEncoder(networks.encoder, where, t).sample(SAMPLE_BP),
        ),
        tuple(told),
    )


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.{0 if seconds > 0.01 else 2}f} ms"


def compare(
    exact: Callable[[], object], approximate: Callable[[], object], device: torch.device
) -> tuple[float, float]:
    """Seconds of two calls that do the same work, each the least of several."""
    _once(exact, device)
    before = _once(exact, device)
    # the first call also makes kernels and warms caches
    after = _once(approximate, device)
    if device.type == "cpu" and after > max(HOPELESS * before, LEAST):
        return before, after
    begun = time.perf_counter()
    while True:  # in turn, since others may be at work here
        after = min(after, _once(approximate, device))
        if time.perf_counter() - begun > BUDGET:
            return before, after
        before = min(before, _once(exact, device))


def _once(call: Callable[[], object], device: torch.device) -> float:
    import torch

    begun = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter() - begun
