"""The errors of a notebook."""

from __future__ import annotations

from orca_cool.errors import OrcaCoolError


class NotebookError(OrcaCoolError):
    """What a notebook asks for cannot be shown."""


class MissingPackage(NotebookError, ImportError):
    """A package that notebooks need is not installed."""
