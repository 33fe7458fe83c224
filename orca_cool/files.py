"""Outputs that appear whole or not at all, and digests of files."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from orca_cool.errors import OutputError


def check_output(output: Path, force: bool, also: Sequence[Path] = ()) -> None:
    """OutputError if an output exists (and not ``force``), or its folder does not."""
    if not output.parent.is_dir():
        raise OutputError(f"the folder of the output {str(output)!r} does not exist")
    if output.is_dir():
        raise OutputError(f"the output {str(output)!r} is a folder")
    for path in (output, *also):
        if path.exists() and not force:
            raise OutputError(f"{path} exists; use --force to replace it")
    if not os.access(output.parent, os.W_OK):
        raise OutputError(f"the folder of the output {str(output)!r} is not writable")


def replace_folder(new: Path, folder: Path) -> None:
    """Put ``new`` in the place of ``folder`` (same file system), which may exist: a rename, or two."""
    new.chmod(0o755)  # mkdtemp makes it private
    if not folder.exists():
        os.replace(new, folder)
        return
    # A folder that is not empty cannot be renamed over: step aside first, and come back if the
    # second rename fails.
    aside = new.with_name(new.name + ".old")
    os.replace(folder, aside)
    try:
        os.replace(new, folder)
    except OSError:
        os.replace(aside, folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file in hexadecimal, read in pieces."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def replace_text(path: Path, text: str) -> None:
    """Write a file under a temporary name and rename it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
