"""The library that writes Parquet tables."""

from __future__ import annotations

from types import ModuleType

from orca_cool.errors import OutputError, missing_package


def import_pyarrow() -> tuple[ModuleType, ModuleType]:
    """``pyarrow`` and ``pyarrow.parquet``; OutputError that names the extra where it is missing."""
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise OutputError(missing_package("a Parquet table", error, "parquet")) from error
    return pyarrow, parquet
