"""One family of errors. Every message quotes the value that is wrong and says what to do."""

from __future__ import annotations

import reprlib
import unicodedata

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


#: What may move a terminal's cursor, change its colours or its title, or turn the order of letters
#: round: control characters and formats, single halves of characters, ends of lines and paragraphs.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
#: How the code of a letter below 256 begins, by whether it is beyond ASCII: there as JSON has it.
_ESCAPE = {False: "\\x", True: "\\u00"}


def printable(text: str) -> str:
    """A text of unknown origin as it may be shown in a terminal: new lines and tabs stay, what else
    controls a terminal is written as "\\x1b" or "\\u202e".
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        letter
        if letter in "\n\t" or unicodedata.category(letter) not in _UNPRINTABLE
        else letter.encode("unicode_escape").decode("ascii").replace("\\x", _ESCAPE[letter > "~"])
        for letter in text
    )


def how_to_install(extra: str) -> str:
    """How the packages of an extra are installed, as a message ends.

    No index of packages has orca-cool. Where it is installed, from a wheel or from a clone, pip
    reads from what is installed what the extra needs; a clone that is not installed is a folder.

    Examples
    --------
    >>> how_to_install("serve")
    "pip install 'orca-cool[serve]', in a clone pip install '.[serve]'"
    """
    return f"pip install 'orca-cool[{extra}]', in a clone pip install '.[{extra}]'"


def missing_package(what: str, error: ImportError, extra: str) -> str:
    """The message for a package that cannot be imported.

    Parameters
    ----------
    what : needs it ("a Parquet table"). error : that its import raised. extra : that brings it.

    Examples
    --------
    >>> missing_package("a bigWig", ModuleNotFoundError(name="pyBigWig"), "perturb")
    ... # doctest: +NORMALIZE_WHITESPACE
    "a bigWig needs 'pyBigWig', which is not installed: pip install 'orca-cool[perturb]',
    in a clone pip install '.[perturb]'"
    """
    why = "is not installed"
    if not isinstance(error, ModuleNotFoundError):  # it is there, and broken
        why = f"cannot be imported ({error})"
    name = error.name or "a package"
    return f"{what} needs {name!r}, which {why}: {how_to_install(extra)}"


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


class WindowsError(OrcaCoolError):
    """Windows of maps that somebody else has predicted: missing, damaged, without coordinates, or
    of another genome or bin than what they are to fit.
    """


class StoreError(OrcaCoolError):
    """A store of encodings that is missing, damaged, of another model or genome, or that cannot be
    written.
    """


class TrainingError(OrcaCoolError):
    """A training configuration or training data that cannot be used."""
