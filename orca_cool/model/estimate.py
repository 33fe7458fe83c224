"""What a run will compute and take, told before it begins (``--dry-run``)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run will do, and what it will take.

    Attributes
    ----------
    windows : that the networks predict (both strands of each); of a training, samples.
    levels : resolutions in bp that are written, scored or trained, finest first.
    pixels : of a prediction, of all levels of its file; else those of all windows.
    disk : bytes of the outputs. work : bytes of unfinished work beside them, at the most.
    memory : bytes of the largest of its processes.
    seconds : of elapsed time, on this machine as it is now.
    notes : how they were found, and how rough they are; what they leave out.
    """

    windows: int
    levels: tuple[int, ...]
    pixels: int
    disk: int
    work: int
    memory: int
    seconds: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """All of it as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    def __str__(self) -> str:
        levels = ", ".join(f"{r:,}" for r in self.levels)
        rows = {
            "levels": f"{levels} bp",
            "windows": f"{self.windows:,}",
            "pixels": f"{self.pixels:,}",
            "disk": f"about {_bytes(self.disk)}; {_bytes(self.work)} more while it runs",
            "memory": f"about {_bytes(self.memory)}",
            "time": f"about {_duration(self.seconds)}",
        }
        lines = [f"{name:<9}{text}" for name, text in rows.items()]
        return "\n".join([*lines, *self.notes])


def together(parts: Sequence[Estimate]) -> Estimate:
    """What several runs, one after the other, take together."""
    if len(parts) == 1:
        return parts[0]
    return Estimate(
        windows=sum(p.windows for p in parts),
        levels=tuple(sorted({r for p in parts for r in p.levels})),
        pixels=sum(p.pixels for p in parts),
        disk=sum(p.disk for p in parts),
        work=max(p.work for p in parts),
        memory=max(p.memory for p in parts),
        seconds=sum(p.seconds for p in parts),
        notes=(f"of {len(parts)} cell types together", *parts[0].notes),
    )


def _bytes(n: int) -> str:
    """12.3 MB."""
    size, unit = float(n), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}"


def _duration(seconds: float) -> str:
    """3 s, 12 min, 4.2 h, 3.1 days."""
    for least, length, unit in ((172_800, 86_400, "days"), (5400, 3600, "h"), (100, 60, "min")):
        if seconds >= least:
            return f"{seconds / length:.2g} {unit}"
    return f"{seconds:.2g} s"
