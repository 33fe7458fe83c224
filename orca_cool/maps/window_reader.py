"""Files of windows that somebody else has predicted: .npz, a folder of them, or a Zarr group. Each
array is read by its name; docs/stitch.md is the description of the format.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from orca_cool.errors import WindowsError, missing_package, shown

#: Arrays that must be there, and those that may be, with what stands for them.
REQUIRED = ("chrom", "start", "end", "values")
OPTIONAL = {"strand": "+", "units": "ln"}

#: Codecs by which a Zarr array may be stored. Others may run code (numcodecs' "pickle"), or are not
#: known here.
CODECS = {
    *("blosc", "zstd", "gzip", "zlib", "lz4", "bz2", "lzma", "bytes", "transpose", "crc32c"),
    *("sharding_indexed", "vlen-utf8", "shuffle", "delta", "bitround", "fixedscaleoffset"),
}

#: What numpy and zipfile raise on a file that is another or damaged.
_DAMAGED = (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)

#: Files whose arrays are kept in memory.
KEPT = 4


class WindowFile(Protocol):
    """Windows in one file: their coordinates, and their maps one by one."""

    name: str

    def columns(self) -> dict[str, np.ndarray]:
        """``chrom``, ``start``, ``end``, ``strand`` and ``units`` of each window, (k,) each."""
        ...

    def values(self, k: int) -> np.ndarray:
        """The map of window ``k`` as it is in the file."""
        ...


def window_files(path: str | Path) -> list[WindowFile]:
    """The files of windows that a path means: a folder of .npz, one .npz, or a Zarr group.

    Raises
    ------
    WindowsError
        If there is nothing of the kind, or the package zarr is missing.
    """
    folder = Path(path)
    if folder.is_file() and folder.suffix == ".npz":
        return [NpzFile(folder)]
    if is_zarr(folder):
        return [ZarrGroup(folder)]
    if not folder.is_dir():
        state = "is no .npz and no Zarr group" if folder.exists() else "does not exist"
        raise WindowsError(f"windows {str(path)!r}: {_NAMES}; {str(path)!r} {state}")
    files = sorted(p for p in folder.glob("*.npz") if not p.name.startswith("."))
    if not files:
        raise WindowsError(f"windows {str(path)!r}: the folder holds no .npz; {_NAMES}")
    kept: dict[Path, Mapping[str, np.ndarray]] = {}
    return [NpzFile(file, kept) for file in files]


_NAMES = "windows are a folder of .npz files, one .npz, or a Zarr group"


def is_zarr(path: Path) -> bool:
    """Whether a path is a Zarr group, as a folder or zipped."""
    if path.is_dir():
        return any((path / name).is_file() for name in ("zarr.json", ".zgroup"))
    return path.is_file() and path.name.endswith((".zarr.zip", ".zarr"))


class NpzFile:
    """One .npz: of one window, or of several along the first axis of every array.

    Parameters
    ----------
    kept : arrays of files that were read last, shared by the files of a folder.
    """

    def __init__(self, path: Path, kept: dict[Path, Mapping[str, np.ndarray]] | None = None):
        self.path, self.name = path, path.name
        self._kept = {} if kept is None else kept

    def _arrays(self) -> Mapping[str, np.ndarray]:
        if self.path not in self._kept:
            while len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            try:
                with open(self.path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
                    names = {*REQUIRED, *OPTIONAL} & set(file)
                    arrays = {name: file[name] for name in sorted(names)}
            except (AttributeError, TypeError):  # a bare .npy
                arrays = {}
            except _DAMAGED as error:
                raise WindowsError(f"{self.path} cannot be read as an .npz: {error}") from error
            self._kept[self.path] = arrays
        return self._kept[self.path]

    def columns(self) -> dict[str, np.ndarray]:
        """As :class:`WindowFile`."""
        arrays = self._arrays()
        require(self.path, arrays)
        one = arrays["values"].ndim == 2
        return columns(self.path, arrays, 1 if one else len(arrays["values"]))

    def values(self, k: int) -> np.ndarray:
        """As :class:`WindowFile`."""
        found = self._arrays()["values"]
        return found if found.ndim == 2 else found[k]


class ZarrGroup:
    """A Zarr group (version 2 or 3) whose arrays have a window each along the first axis."""

    def __init__(self, path: Path):
        self.path, self.name = path, path.name
        try:
            import zarr
        except ImportError as error:
            raise WindowsError(
                missing_package(f"windows {str(path)!r} are a Zarr group, which", error, "zarr")
            ) from error
        try:
            store = zarr.storage.ZipStore(path, mode="r") if path.is_file() else str(path)
            group = zarr.open_group(store, mode="r")
            self._arrays: dict[str, Any] = {
                name: group[name] for name in (*REQUIRED, *OPTIONAL) if name in group
            }
            for name, array in self._arrays.items():
                self._check(name, array.metadata.to_dict())
        except WindowsError:
            raise
        except Exception as error:  # zarr has no family of errors
            raise WindowsError(f"{path} cannot be read as a Zarr group: {error}") from error

    def _check(self, name: str, metadata: Mapping[str, Any]) -> None:
        unknown = sorted(_codecs(metadata) - CODECS)
        if unknown:
            raise WindowsError(
                f"{self.path}: array {name!r} is stored with the codec {unknown[0]!r}, which is "
                f"not read; known are {', '.join(sorted(CODECS))}"
            )

    def _read(self, name: str, where: Any) -> np.ndarray:
        try:
            return np.asarray(self._arrays[name][where])
        except Exception as error:
            raise WindowsError(f"{self.path}: array {name!r} cannot be read: {error}") from error

    def columns(self) -> dict[str, np.ndarray]:
        """As :class:`WindowFile`."""
        require(self.path, self._arrays)
        small = {name: self._read(name, ...) for name in self._arrays if name != "values"}
        if self._arrays["values"].ndim != 3:
            raise WindowsError(
                f"{self.path}: values have shape {self._arrays['values'].shape}; of a Zarr group "
                f"(windows, n, n) is expected"
            )
        return columns(self.path, small, self._arrays["values"].shape[0])

    def values(self, k: int) -> np.ndarray:
        """As :class:`WindowFile`."""
        return self._read("values", k)


def _codecs(metadata: Mapping[str, Any]) -> set[str]:
    """Names of all codecs of an array's metadata, of Zarr 2 (filters, compressor) or 3 (codecs)."""
    found: set[str] = set()

    def walk(value: Any, named: bool) -> None:
        if isinstance(value, Mapping):
            for key in ("id", "name"):
                if named and isinstance(value.get(key), str):
                    found.add(value[key].removeprefix("numcodecs."))
            for inner in value.values():
                walk(inner, named)
        elif isinstance(value, list | tuple):
            for inner in value:
                walk(inner, named)
        elif named and hasattr(value, "get_config"):  # a codec of numcodecs
            walk(value.get_config(), named)
        elif named and hasattr(value, "to_dict"):  # one of zarr
            walk(value.to_dict(), named)

    for key in ("filters", "compressor", "codecs"):
        walk(metadata.get(key), True)
    return found


def require(path: Path, arrays: Mapping[str, Any]) -> None:
    """WindowsError if an array is missing that every file of windows has."""
    if missing := [name for name in REQUIRED if name not in arrays]:
        raise WindowsError(
            f"{path} has no {' and no '.join(map(repr, missing))}: a window's map has 'values', "
            f"and 'chrom', 'start' and 'end' say where it lies"
        )
    if arrays["values"].ndim not in (2, 3):
        raise WindowsError(
            f"{path}: values have shape {arrays['values'].shape}, expected (n, n), or (windows, n, "
            f"n)"
        )


def columns(path: Path, arrays: Mapping[str, np.ndarray], k: int) -> dict[str, np.ndarray]:
    """The coordinates of ``k`` windows, (k,) each; what stands for all is repeated.

    Raises
    ------
    WindowsError
        If an array is of another length or type.
    """
    out: dict[str, np.ndarray] = {}
    kinds: Sequence[tuple[str, str, str]] = (
        *((name, "US", "text") for name in ("chrom", "strand", "units")),
        *((name, "iu", "whole numbers of bp") for name in ("start", "end")),
    )
    for name, kind, what in kinds:
        value = np.asarray(arrays.get(name, np.array(OPTIONAL.get(name, ""))))
        if value.dtype.kind in "OT":  # strings of any length
            value = np.array([str(v) for v in value.ravel()]).reshape(value.shape)
        if value.dtype.kind == "S":
            value = np.char.decode(value, "utf-8")
        if value.dtype.kind == "f" and kind == "iu" and (value == np.round(value)).all():
            value = value.astype(np.int64)
        if value.dtype.kind not in kind:
            raise WindowsError(f"{path}: {name} is {shown(value.tolist())}, expected {what}")
        if value.size == 1:
            value = np.full(k, value.ravel()[0])
        if value.shape != (k,):
            raise WindowsError(
                f"{path}: {name} has shape {value.shape}, expected ({k},): one for each window of "
                f"values"
            )
        out[name] = value
    return out
