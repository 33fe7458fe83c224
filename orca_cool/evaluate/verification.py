"""What ``orca-cool models verify`` finds, as JSON to send and as a table to read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orca_cool.evaluate.result import Result
from orca_cool.model.verify import is_sound
from orca_cool.prediction.every_error import Error, by_kind

FORMAT, VERSION = "orca-cool-verification", 1

#: What a report holds, which is written into it too.
CONTAINS = (
    "names, sizes and SHA-256 of the model's files; names and shapes of tensors that do not fit; "
    "correlations and errors; names of the genome and of the measured map; versions and the "
    "processor. No sequence, no map, no weights and no folder's name."
)

#: Pearson's r on the test chromosomes chr9 and chr10 that was published, from the worst to the best
#: level (Zhou 2022).
PUBLISHED = {"h1esc": (0.78, 0.85), "hff": (0.73, 0.79)}


@dataclass
class Verification:
    """What was found of a model.

    Attributes
    ----------
    model : its name. files : of :mod:`orca_cool.model.verify`.
    about : versions, device, module, sequence; plain values.
    errors : of approximations. not_measured : parts and number types that need another device.
    result : scores on a measured map, None without one.
    labels : names of levels by resolution.
    """

    model: str
    files: dict[str, Any]
    about: dict[str, Any]
    errors: list[Error] = field(default_factory=list)
    not_measured: list[tuple[str, str]] = field(default_factory=list)
    result: Result | None = None
    labels: Mapping[int, str] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether the networks can be made from the files, and are the released ones if the model
        has the name of a released one.
        """
        return is_sound(self.files)

    @property
    def published(self) -> tuple[float, float] | None:
        """The published r of the worst and the best level, where the protocol is the same: the
        32M module on chr9 and chr10; else None.
        """
        if self.result is None or self.about.get("module") != "32M":
            return None
        chroms = set(self.result.provenance["chroms"])
        name = self.files["architecture"]["released"]
        return PUBLISHED.get(name) if chroms == {"chr9", "chr10"} else None

    def to_json(self) -> dict[str, Any]:
        """All of it, JSON-able."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "contains": CONTAINS,
            "model": self.model,
            "sound": self.sound,
            **self.files,
            **self.about,
            "errors": [e.to_json() for e in self.errors],
            "not_measured": [{"part": p, "dtype": t} for p, t in self.not_measured],
            "scores": self._scores(),
            "protocol": None if self.result is None else self.result.provenance,
            "published_r": self.published,
        }

    def text(self) -> str:
        """:meth:`to_json` as it is written."""
        return json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n"

    def table(self) -> str:
        """What was found, as lines to read."""
        return "\n".join(
            [*_files_told(self.files, self.sound), *self._errors_told(), *self._scores_told()]
        )

    def _scores(self) -> list[dict[str, Any]]:
        rows = []
        for s in () if self.result is None else self.result.scores:
            m = s.metrics["model"]
            numbers = {"r": m.r, "r_distance": m.r_distance, "spearman": m.spearman}
            rows.append(
                {
                    "chrom": s.chrom,
                    "resolution": s.resolution,
                    "level": self.labels.get(s.resolution, ""),
                    **{k: v if math.isfinite(v) else None for k, v in numbers.items()},
                    "pixels": m.pixels,
                    "windows": m.windows,
                }
            )
        return rows

    def _errors_told(self) -> list[str]:
        if not self.errors:
            return []
        seen = self.about["sequence"]
        place = f"{seen['chrom']}:{seen['start']:,}-{seen['end']:,} of {seen['genome']}"
        lines = ["", f"against float32, {self.about['device']}, {place}"]
        for part, dtype, errors in by_kind(self.errors):
            lines.append(f"  {part}, {dtype}")
            lines += [f"    {_level(e, self.labels):<14}{_error(e)}" for e in errors]
        if self.not_measured:
            kinds = ", ".join(f"{dtype} {part}" for part, dtype in self.not_measured)
            lines.append(f"  not measured, needs another device: {kinds}")
        return lines

    def _scores_told(self) -> list[str]:
        if self.result is None:
            return ["", "no measured map given (--map): nothing is scored"]
        rows = self._scores()
        lines = ["", f"Pearson's r, measured map {self.result.provenance['observed']}"]
        for row in rows:
            r = "no r" if row["r"] is None else f"r {row['r']:.3f}"
            lines.append(
                f"  {row['chrom']:<8}{row['level']:<7}{r}  "
                f"({row['pixels']:,} pixels of {row['windows']:,} windows)"
            )
        if self.published is not None:
            worst, best = self.published
            lines.append(f"  published, over all levels: r {worst:.2f} to {best:.2f}")
        return lines


def _files_told(files: Mapping[str, Any], sound: bool) -> list[str]:
    tensors, architecture = files["tensors"], files["architecture"]
    lines = [f"{files['kind']}: {len(files['files'])} file(s)"]
    lines += [f"  {f['name']}  {f['bytes']:,} bytes  {f['sha256'][:16]}" for f in files["files"]]
    lines += [f"  missing: {name}" for name in files["missing_files"]]
    lines.append(f"tensors: {tensors['found']} found, {tensors['wanted']} wanted")
    for what in ("missing", "unexpected", "not_finite"):
        lines += _some(what.replace("_", " "), tensors.get(what, []))
    shapes = tensors["shapes"]
    lines += _some("of another shape", [f"{k} {v['found']}" for k, v in shapes.items()])
    if architecture["released"] is None:
        lines.append("networks: not held against a released model, whose name it does not have")
    elif architecture["differs"]:
        parts = ", ".join(architecture["differs"])
        lines.append(f"networks: NOT those of released {architecture['released']}: {parts} differ")
    else:
        lines.append(f"networks: those of released {architecture['released']}")
    return [*lines, "sound" if sound else "NOT sound"]


def _some(what: str, names: Sequence[str]) -> list[str]:
    """The first few names."""
    more = [f"  {what}: and {len(names) - 5} more"] if len(names) > 5 else []
    return [*(f"  {what}: {name}" for name in names[:5]), *more]


def _level(error: Error, labels: Mapping[int, str]) -> str:
    if error.resolution is None:
        return "encodings"
    return f"map {labels.get(error.resolution, error.resolution)}"


def _error(error: Error) -> str:
    if not math.isfinite(error.r):
        return "cannot be said: values do not vary, or do not fit the number type"
    return f"r {error.r:.6f}, at most {error.largest:.2g} standard deviations off"
