"""What a server remembers when it is started again."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orca_cool.errors import OrcaCoolError
from orca_cool.files import atomic_write, write_once


class State:
    """What a server remembers when it is started again: its secret, and the addresses of edited
    genomes.

    Parameters
    ----------
    folder : None: memory alone.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder
        self._edits: dict[str, dict[str, Any]] = {}
        secret: bytes | None = None
        if folder is not None:
            try:
                (folder / "edits").mkdir(parents=True, exist_ok=True)
                secret = _read_secret(folder / "secret")
            except OSError as error:
                raise OrcaCoolError(
                    f"the state folder {str(folder)!r} cannot be used: {error.strerror or error}"
                ) from error
        self._secret = secret or secrets.token_bytes(32)

    def uid(self, text: str) -> str:
        """The uid of what a text describes: always the same, and to be guessed by nobody."""
        digest = hmac.new(self._secret, text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest)[:22].decode("ascii")

    def saved(self) -> Iterator[tuple[str, str, float]]:
        """Id, URL, and time of last use of edits, oldest first; of this run, or of the runs
        before.
        """
        if self.folder is not None:
            for path in (self.folder / "edits").glob("*.json"):
                with contextlib.suppress(
                    OSError, ValueError, KeyError, TypeError
                ):  # of another version, or half removed
                    said = json.loads(path.read_text(encoding="utf-8"))
                    self._edits.setdefault(
                        path.stem, {"url": str(said["url"]), "used": float(said["used"])}
                    )
        yield from sorted(
            ((k, v["url"], v["used"]) for k, v in self._edits.items()), key=lambda item: item[2]
        )

    def save(self, edit: str, url: str) -> None:
        """Remember an edit, used now."""
        self._edits[edit] = {"url": url, "used": time.time()}
        if self.folder is not None:
            atomic_write(self.folder / "edits" / f"{edit}.json", json.dumps(self._edits[edit]))

    def forget(self, edit: str) -> None:
        """Forget an edit."""
        self._edits.pop(edit, None)
        if self.folder is not None:
            (self.folder / "edits" / f"{edit}.json").unlink(missing_ok=True)


def _read_secret(path: Path) -> bytes:
    """The secret of a state folder, made the first time; only its owner can read it."""
    if not path.exists():
        write_once(path, secrets.token_bytes(32), mode=0o600)
    return path.read_bytes()
