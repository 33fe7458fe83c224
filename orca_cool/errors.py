"""One family of errors. Every message quotes the value that is wrong and says what to do."""

from __future__ import annotations

import reprlib

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlong = 50
_SHORT.maxlevel = 2


def shown(value: object) -> str:
    """A value of a file as a message quotes it: on one line and short, whatever it is."""
    try:
        return _SHORT.repr(value)[:300]
    except (ValueError, RecursionError):  # Python prints no number of more than 4,300 digits
        return f"a value of type {type(value).__name__} that is too long to show"


class OrcaCoolError(Exception):
    """Base of every error that a user can cause; the CLI prints it on one line and exits with 2."""


class GenomeError(OrcaCoolError):
    """A genome file, chromosome name or assembly that cannot be used."""


class RegionError(OrcaCoolError):
    """A region that does not parse or does not lie in the genome."""


class EditError(OrcaCoolError):
    """An edit or variant that does not parse, does not fit its genome, or contradicts another."""


class ModelError(OrcaCoolError):
    """A model name, level, module or specification that cannot be used."""


class BundleError(ModelError):
    """A model bundle or released weight file that is missing, damaged or of another format."""


class FetchError(OrcaCoolError):
    """A download that could not be completed or verified."""


class DeviceError(OrcaCoolError):
    """A device or number type that this machine does not have."""


class OutputError(OrcaCoolError):
    """An output that exists, or that cannot be written."""


class CoolerError(OrcaCoolError):
    """A cooler file that is missing, damaged or lacks what is asked of it."""


class StoreError(OrcaCoolError):
    """A store of encodings that is missing, damaged, of another model or genome, or that cannot be
    written.
    """


class TrainingError(OrcaCoolError):
    """A training configuration or training data that cannot be used."""
