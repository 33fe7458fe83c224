"""Whether this machine can do what orca-cool does: versions, device, disk, models, network, and
what is missing for what (``orca-cool doctor``).
"""

from __future__ import annotations

import importlib
import importlib.metadata as metadata
import os
import platform
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orca_cool import __version__
from orca_cool.errors import OrcaCoolError, how_to_install

#: Format of :meth:`Diagnosis.to_dict`.
FORMAT, FORMAT_VERSION = "orca-cool.doctor", 1

#: What a check finds: all is well; something optional is not there; something is told; it must be
#: mended before anything can be predicted.
OK, MISSING, NOTE, BROKEN = "ok", "missing", "note", "broken"

#: What the extras of the package are for.
EXTRAS = {
    "variants": "VCF files",
    "parquet": "tables as .parquet",
    "perturb": "attribution, screens and their files, bigWigs",
    "cluster": "-p N, --dask",
    "serve": "serve: predicted maps in HiGlass",
    "notebook": "maps in notebooks",
    "train": "training, expected smoothed by distance",
    "zarr": "windows as zarr (stitch)",
}

#: Least free space, in bytes, below which it is told: a stored human genome takes more.
LITTLE_SPACE = 20e9


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    part : "versions", "device", "disk", "models", "network" or "extras".
    name : of the thing. status : "ok", "missing", "note" or "broken". said : what was found.
    """

    part: str
    name: str
    status: str
    said: str


@dataclass(frozen=True)
class Diagnosis:
    """All that was looked at.

    Attributes
    ----------
    checks : in the order of the text.
    """

    checks: tuple[Check, ...]

    @property
    def sound(self) -> bool:
        """True unless something that every prediction needs is broken."""
        return all(check.status != BROKEN for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        about = {"format": FORMAT, "format_version": FORMAT_VERSION, "orca_cool": __version__}
        return {**about, "sound": self.sound, "checks": [asdict(check) for check in self.checks]}

    def __str__(self) -> str:
        lines, part = [], ""
        for check in self.checks:
            if check.part != part:
                part = check.part
                lines.append(part)
            lines.append(f"  {check.status:<8} {check.name}: {check.said}")
        return "\n".join(lines)


def diagnose(*, network: bool = True) -> Diagnosis:
    """Look at this machine. Nothing is changed.

    Parameters
    ----------
    network : ask the servers of models that can be fetched for an answer (some seconds at most).

    Returns
    -------
    Diagnosis; ``print`` shows it.

    Examples
    --------
    >>> oc.diagnose(network=False).sound  # doctest: +SKIP
    True
    """
    parts = [_versions, _device, _disk, _models, *([_network] if network else []), _extras]
    return Diagnosis(tuple(check for part in parts for check in part()))


def _requirements() -> list[tuple[str, str, str]]:
    """(package, versions that will do, extra or "") of this package."""
    try:
        texts = metadata.requires("orca-cool") or []
    except metadata.PackageNotFoundError:  # run from a folder, not installed
        return []
    found = []
    for text in texts:
        match = re.match(r"([\w.-]+)(?:\[[^\]]*\])?\s*([^;]*)", text)
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", text)
        if match is not None and match[1].lower() != "orca-cool":
            found.append((match[1], match[2].strip(" ()"), extra[1] if extra else ""))
    return found


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _fits(version: str, wanted: str) -> bool:
    """Whether a version is among those that will do; True where nobody can tell."""
    try:
        from packaging.specifiers import SpecifierSet
    except ImportError:
        return True
    return SpecifierSet(wanted).contains(version, prereleases=True)


def _versions() -> Iterator[Check]:
    part = "versions"
    yield Check(part, "orca-cool", OK, f"{__version__}, in {Path(__file__).parents[1]}")
    right = (3, 11) <= sys.version_info[:2] <= (3, 13)
    says = f"{platform.python_version()} on {platform.platform()}"
    says += "" if right else "; orca-cool is tested on 3.11 to 3.13"
    yield Check(part, "python", OK if right else NOTE, says)
    for package, wanted, extra in _requirements():
        if extra:
            continue
        version = _installed(package)
        if version is None:
            yield Check(part, package, BROKEN, f"is not installed; pip install '{package}{wanted}'")
        elif not _fits(version, wanted):
            says = f"{version}, but {wanted} is needed; pip install '{package}{wanted}'"
            yield Check(part, package, BROKEN, says)
        else:
            yield Check(part, package, OK, version)
    for module in ("numpy", "h5py", "torch"):
        try:
            importlib.import_module(module)
        except Exception as error:  # whatever a library's own code raises
            yield Check(part, f"import {module}", BROKEN, " ".join(str(error).split())[:300])


def _device() -> Iterator[Check]:
    part = "device"
    try:
        import torch
    except Exception:  # told above
        return
    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    yield Check(part, "cpu", OK, f"{threads} threads of {cores} cores, {platform.machine()}")
    if torch.cuda.is_available():
        for k in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(k)
            says = f"{about.name}, {about.total_memory / 1e9:.0f} GB"
            yield Check(part, f"cuda:{k}", OK, says)
    else:
        built = torch.version.cuda
        why = "this torch is built for processors alone" if built is None else "no GPU is seen"
        yield Check(part, "cuda", MISSING, f"{why}; predictions run on the processor")


def _disk() -> Iterator[Check]:
    from orca_cool.files import cache_folders
    from orca_cool.model.folders import home

    part = "disk"
    folders = {"working folder": Path.cwd(), "models": home(), "cache": cache_folders("fasta")[0]}
    for name, folder in folders.items():
        there = next(p for p in (folder, *folder.parents) if p.exists())
        free = shutil.disk_usage(there).free
        says = f"{folder}, {free / 1e9:,.1f} GB free"
        if not os.access(there, os.W_OK):
            yield Check(part, name, NOTE, f"{says}; it cannot be written to")
        elif free < LITTLE_SPACE:
            yield Check(part, name, NOTE, f"{says}: little for a stored human genome")
        else:
            yield Check(part, name, OK, says)


def _models() -> Iterator[Check]:
    from orca_cool.genome.open import SHIPPED, open_genome
    from orca_cool.model.folders import shared_folders
    from orca_cool.model.header import check_weights, read_header
    from orca_cool.model.registry import known

    part = "models"
    try:
        for folder in shared_folders():
            if not folder.is_dir():
                yield Check(part, str(folder), NOTE, "is not there (`models remove-path`)")
        entries = known()
    except OrcaCoolError as error:
        yield Check(part, "models", NOTE, str(error))
        return
    for entry in entries.values():
        if entry.path is None:
            continue
        bad = BROKEN if entry.origin == "shipped" else NOTE
        try:
            check_weights(entry.path, read_header(entry.path))
            yield Check(part, entry.name, OK, f"{entry.origin}, {entry.path}")
        except (OrcaCoolError, OSError) as error:
            yield Check(part, entry.name, bad, f"is damaged: {error}")
    absent = [e.name for e in entries.values() if e.path is None]
    if absent:
        yield Check(part, ", ".join(absent), MISSING, "can be fetched (`models fetch NAME`)")
    for name in SHIPPED:
        try:
            count = len(open_genome(name).chromsizes)
            yield Check(part, f"genome {name}", OK, f"{count} sequences")
        except (OrcaCoolError, OSError) as error:
            yield Check(part, f"genome {name}", BROKEN, str(error))


def _network() -> Iterator[Check]:
    from orca_cool.model.registry import fetchable

    try:
        urls = {archive.urls[0] for archive, _ in fetchable().values() if archive.urls}
    except OrcaCoolError:
        urls = set()
    for host in sorted({"/".join(url.split("/")[:3]) for url in urls}):
        try:
            request = urllib.request.Request(host, method="HEAD")
            with urllib.request.urlopen(request, timeout=5):
                yield Check("network", host, OK, "answers; models can be fetched")
        except urllib.error.HTTPError:
            yield Check("network", host, OK, "answers; models can be fetched")
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            says = f"does not answer ({reason}); `models fetch` needs it, nothing else does"
            yield Check("network", host, MISSING, says)


def _extras() -> Iterator[Check]:
    wanted: dict[str, list[tuple[str, str]]] = {}
    for package, versions, extra in _requirements():
        if extra in EXTRAS:
            wanted.setdefault(extra, []).append((package, versions))
    if not wanted:
        says = "orca-cool runs from a folder, and is not installed: not looked at"
        yield Check("extras", "extras", NOTE, says)
    for extra, purpose in EXTRAS.items():
        if extra not in wanted:
            continue
        absent = [
            package
            for package, versions in wanted[extra]
            if (found := _installed(package)) is None or not _fits(found, versions)
        ]
        says = f"for {purpose}"
        if absent:
            says += f": {', '.join(absent)} missing or too old; {how_to_install(extra)}"
        yield Check("extras", extra, MISSING if absent else OK, says)
