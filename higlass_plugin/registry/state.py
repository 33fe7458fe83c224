"""What a server remembers when it is started again."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from orca_cool.errors import OrcaCoolError
from orca_cool.files import atomic_write, write_once


@dataclass(frozen=True)
class SavedEdit:
    """An edit that is remembered.

    Attributes
    ----------
    edit : its id. url : ``orca://`` address of its map.
    used : time of its last use, seconds since the epoch.
    guest : whether a page of another origin has made it.
    """

    edit: str
    url: str
    used: float
    guest: bool = False


class State:
    """What a server remembers when it is started again: its secret, and the addresses of edited
    genomes.

    Parameters
    ----------
    folder : None: memory alone.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder
        self._edits: dict[str, SavedEdit] = {}
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

    def saved(self) -> list[SavedEdit]:
        """The edits of this run and of the runs before, those used longest ago first."""
        if self.folder is not None:
            for path in (self.folder / "edits").glob("*.json"):
                if path.stem in self._edits:
                    continue
                with contextlib.suppress(
                    OSError, ValueError, KeyError, TypeError
                ):  # of another version, or half removed
                    said = json.loads(path.read_text(encoding="utf-8"))
                    self._edits[path.stem] = SavedEdit(
                        path.stem, str(said["url"]), float(said["used"]), bool(said.get("guest"))
                    )
        return sorted(self._edits.values(), key=lambda saved: saved.used)

    def get(self, edit: str) -> SavedEdit | None:
        """What is remembered of an edit; None if nothing is."""
        if edit not in self._edits:
            self.saved()
        return self._edits.get(edit)

    def save(self, edit: str, url: str, guest: bool = False) -> None:
        """Remember an edit, used now."""
        saved = self._edits[edit] = SavedEdit(edit, url, time.time(), guest)
        if self.folder is not None:
            said = {"url": url, "used": saved.used} | ({"guest": True} if guest else {})
            atomic_write(self.folder / "edits" / f"{edit}.json", json.dumps(said))

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
