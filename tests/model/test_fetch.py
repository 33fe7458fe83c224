"""Downloads from a local server: interrupted and resumed, wrong checksum, full disk, servers
without Range.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import shutil
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from orca_cool.cli import main
from orca_cool.errors import BundleError, FetchError, OutputError
from orca_cool.model import download as downloading
from orca_cool.model import fetch as fetch_module
from orca_cool.model import registry
from orca_cool.model.bundle import Model, load_bundle
from orca_cool.model.download import download
from orca_cool.model.fetch import fetch, import_archive
from orca_cool.model.registry import Archive

BODY = np.random.default_rng(1).bytes(1_000_000)
DIGEST = hashlib.sha256(BODY).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        if self.path in server.redirects:
            self.send_response(302)
            self.send_header("Location", server.redirects[self.path])
            self.end_headers()
            return
        if server.errors:
            self.send_error(server.errors.pop(0))
            return
        body, first = server.body, 0
        wanted = self.headers.get("Range")
        if wanted and server.ranged and self.headers.get("If-Range") == server.etag:
            first = int(wanted.removeprefix("bytes=").rstrip("-"))
        if first >= len(body) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.end_headers()
            return
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - first))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        stop = first + server.stops.pop(0) if server.stops else len(body)
        self.wfile.write(body[first:stop])

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server():
    """A server whose attributes say how it misbehaves; ``stops``: bytes after which each transfer
    breaks off.
    """
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.body, http.etag, http.ranged = BODY, '"v1"', True
    http.stops, http.errors, http.ranges, http.redirects = [], [], [], {}
    http.url = f"http://127.0.0.1:{http.server_port}/file.bin"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield http
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture(autouse=True)
def user_home(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("ORCA_COOL_HOME", str(tmp_path / "home"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def test_whole(server, tmp_path: Path):
    seen = []
    found = download(
        server.url, tmp_path / "d" / "f", DIGEST.upper(), progress=lambda *a: seen.append(a)
    )
    assert found == DIGEST
    assert (tmp_path / "d" / "f").read_bytes() == BODY
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["f"]
    assert seen[-1] == (len(BODY), len(BODY))


def test_broken_transfers_are_taken_up(server, tmp_path: Path):
    server.stops, server.errors = [300_000, 200_000], [503]
    download(server.url, tmp_path / "f", DIGEST, pause=0)
    assert (tmp_path / "f").read_bytes() == BODY
    assert server.ranges == [None, None, "bytes=300000-", "bytes=500000-"]


def test_interrupted_then_resumed_by_a_later_call(server, tmp_path: Path):
    server.stops = [300_000]
    with pytest.raises(
        FetchError, match=r"ended after 300000 of 1000000 bytes; 300000 bytes are kept"
    ):
        download(server.url, tmp_path / "f", DIGEST, attempts=1)
    assert not (tmp_path / "f").exists()
    download(server.url, tmp_path / "f", DIGEST)
    assert server.ranges[-1] == "bytes=300000-"
    assert (tmp_path / "f").read_bytes() == BODY


@pytest.mark.parametrize("change", ["no range", "other file", "no validator", "weak validator"])
def test_starts_anew_where_it_cannot_resume(server, tmp_path: Path, change):
    server.stops = [300_000]
    server.etag = {"no validator": None, "weak validator": 'W/"v1"'}.get(change, '"v1"')
    with pytest.raises(FetchError):
        download(server.url, tmp_path / "f", attempts=1)
    digest = DIGEST
    if change == "no range":
        server.ranged = False
    elif change == "other file":
        server.etag, server.body = '"v2"', BODY[::-1]
        digest = hashlib.sha256(BODY[::-1]).hexdigest()
    assert download(server.url, tmp_path / "f", digest) == digest


def test_killed_between_the_last_byte_and_the_rename(server, tmp_path: Path):
    (tmp_path / "f.part").write_bytes(BODY)
    (tmp_path / "f.part.json").write_text(
        json.dumps({"url": server.url, "validator": '"v1"', "total": len(BODY)})
    )
    download(server.url, tmp_path / "f", DIGEST)
    (tmp_path / "g.part").write_bytes(BODY + b"x")  # longer than the file
    (tmp_path / "g.part.json").write_text(
        json.dumps({"url": server.url, "validator": '"v1"', "total": len(BODY)})
    )
    download(server.url, tmp_path / "g", DIGEST, pause=0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f", "g"]


def test_wrong_checksum(server, tmp_path: Path):
    with pytest.raises(
        FetchError, match=f"SHA-256 of the download is {DIGEST}, expected {'0' * 64}"
    ):
        download(server.url, tmp_path / "f", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_disk_full_while_writing(server, tmp_path: Path, monkeypatch):
    whole = downloading._pour

    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(
        downloading, "_pour", lambda source, file, *rest: whole(source, Full(), *rest)
    )
    with pytest.raises(FetchError, match=r"no space left for .*f"):
        download(server.url, tmp_path / "f", DIGEST)
    assert len(server.ranges) == 1  # another attempt would not help
    assert not (tmp_path / "f").exists()
    monkeypatch.undo()
    download(server.url, tmp_path / "f", DIGEST)


def test_disk_too_small_is_seen_before(server, tmp_path: Path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(FetchError, match="no space left"):
        download(server.url, tmp_path / "f")


def test_answers_that_no_attempt_cures(server, tmp_path: Path):
    server.errors = [404]
    with pytest.raises(FetchError, match="answers 404"):
        download(server.url, tmp_path / "f", pause=0)
    assert len(server.ranges) == 1
    server.errors = [503] * 5
    with pytest.raises(FetchError, match="answers 503"):
        download(server.url, tmp_path / "f", pause=0)
    with pytest.raises(FetchError, match="no connection"):
        download("http://127.0.0.1:9/x", tmp_path / "f", attempts=1)


def test_addresses(server, tmp_path: Path):
    server.redirects = {
        "/a": "/file.bin",
        "/loop": "/loop",
        "/out": "file:///etc/hostname",
        "/ftp": "ftp://127.0.0.1/x",
    }
    base = server.url.removesuffix("/file.bin")
    assert download(base + "/a", tmp_path / "f", DIGEST) == DIGEST
    for path in ("/loop", "/out", "/ftp"):
        with pytest.raises(FetchError):
            download(base + path, tmp_path / "g", pause=0, attempts=2)
    (tmp_path / "here").write_bytes(BODY)
    assert download((tmp_path / "here").as_uri(), tmp_path / "h", DIGEST) == DIGEST
    for url in (
        "ftp://127.0.0.1/x",
        "data:,x",
        "here",
        "file://elsewhere/x",
        (tmp_path / "absent").as_uri(),
    ):
        with pytest.raises(FetchError):
            download(url, tmp_path / "g")
    assert not (tmp_path / "g").exists()


def known_by(home: Path, server, digest: str | None = None, kind: str = "bundle") -> None:
    """A registry in the user's folder with the model "toy" at the server."""
    home.mkdir(exist_ok=True)
    archive = {"kind": kind, "urls": [server.url], "sha256": digest, "licence": "for tests only"}
    data = {
        "format": "orca-cool-registry",
        "version": 1,
        "archives": {"a": archive},
        "models": {"toy": {"archive": "a", "about": "a toy"}},
    }
    (home / "registry.json").write_text(json.dumps(data))


def cli(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["models", "fetch", *args])
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def test_command(server, user_home: Path, toy_bundle: Model, tmp_path: Path):
    server.body = registry.export_bundle(toy_bundle.path, tmp_path / "toy.zip").read_bytes()
    digest = hashlib.sha256(server.body).hexdigest()
    known_by(user_home, server, digest)
    code, text = cli("toy", "--sha256", "1" * 64)
    assert (code, "expected " + "1" * 64 in text) == (2, True)
    code, text = cli("toy", "--quiet")
    assert (code, "for tests only" in text) == (0, True)
    assert load_bundle(registry.resolve("toy")).digest == toy_bundle.digest
    assert list((user_home / "downloads").iterdir()) == []
    assert cli("toy")[0] == 2  # exists
    assert cli("toy", "--force", "--keep")[0] == 0
    assert len(list((user_home / "downloads").iterdir())) == 1


def test_unknown_checksum_is_refused_unless_waived(
    server, user_home: Path, toy_bundle: Model, tmp_path: Path
):
    server.body = registry.export_bundle(toy_bundle.path, tmp_path / "toy.zip").read_bytes()
    known_by(user_home, server)
    code, text = cli("toy")
    assert (code, "--accept-unverified" in text) == (2, True)
    assert server.ranges == []
    assert cli("toy", "--sha256", "abc")[0] == 2
    assert cli("toy", "--accept-unverified")[0] == 0


def test_second_address(server, toy_bundle: Model, tmp_path: Path):
    file = registry.export_bundle(toy_bundle.path, tmp_path / "toy.zip")
    server.errors = [404]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    archive = Archive("a", "bundle", (server.url, file.as_uri()), digest)
    assert fetch(archive, "toy", tmp_path / "m" / "models") == [tmp_path / "m" / "models" / "toy"]
    with pytest.raises(OutputError, match="exists"):
        fetch(archive, "toy", tmp_path / "m" / "models")


@pytest.fixture(scope="module")
def released_tar(released_folder: Path, tmp_path_factory) -> Path:
    """hctnoc in the released form, the genome beside it, and members that try to leave the
    folder.
    """
    path = tmp_path_factory.mktemp("tar") / "resources_core.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for file in sorted(released_folder.rglob("*HCT*")) + sorted(
            released_folder.rglob("*hctnoc*")
        ):
            tar.add(file, f"./{file.relative_to(released_folder)}")
        tar.addfile(tarfile.TarInfo("resources/Homo_sapiens.GRCh38.fa"))
        tar.addfile(tarfile.TarInfo("../../models/orca_evil.statedict"))
        link = tarfile.TarInfo("models/orca_hctnoc.link.statedict")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return path


def test_released_archive(released_tar: Path, tmp_path: Path):
    archive = Archive(
        "orca", "released", (released_tar.as_uri(),), models=("h1esc", "hff", "hctnoc")
    )
    out = tmp_path / "a" / "models"
    assert fetch(archive, "hctnoc", out, accept_unverified=True) == [out / "hctnoc"]
    assert load_bundle(out / "hctnoc").spec.name == "hctnoc"
    assert [p.name for p in out.iterdir()] == ["hctnoc"]
    assert not list(tmp_path.rglob("*evil*"))
    with pytest.raises(BundleError, match=r"lacks 1\d file.*orca_hff"):
        fetch(archive, "hff", out, accept_unverified=True)


@pytest.mark.parametrize("kind", ["gz", "xz", "sparse"])
def test_an_archive_is_bounded_before_it_is_unpacked(kind, tmp_path: Path, monkeypatch):
    """A few kB that would become terabytes."""
    monkeypatch.setattr(fetch_module, "check_space", lambda part, need: None)
    written = []
    monkeypatch.setattr(shutil, "copyfileobj", lambda *a: written.append(a))
    path, member = tmp_path / "bomb.tar", tarfile.TarInfo("models/orca_h1esc.net0.statedict")
    with tarfile.open(path, "w" if kind == "sparse" else f"w:{kind}") as tar:
        if kind == "sparse":
            member.size = 1 << 12
            member.pax_headers = {"GNU.sparse.size": str(1 << 42), "GNU.sparse.map": "0,1"}
            tar.addfile(member, io.BytesIO(bytes(1 << 12)))
        else:
            member.size = 1 << 42
            tar.addfile(member)
    with pytest.raises(FetchError, match=r"net0\.statedict' of 4,398,046,511,104 bytes"):
        import_archive(path, tmp_path / "a" / "out")
    assert not written
    assert list(tmp_path.iterdir()) == [path]


def test_many_files_of_an_archive_are_bounded_together(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(fetch_module, "MAX_TOTAL", 25)
    monkeypatch.setattr(fetch_module, "MAX_ENTRIES", 5)
    for names, told in (
        ([f"models/{k}.statedict" for k in range(4)], "exceeds 25 bytes"),
        ([f"other/{k}" for k in range(6)], "more than 5 entries"),
    ):
        with tarfile.open(tmp_path / "t.tar", "w") as tar:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size = 10
                tar.addfile(member, io.BytesIO(bytes(10)))
        (tmp_path / "there").mkdir(exist_ok=True)
        with pytest.raises(FetchError, match=told):
            import_archive(tmp_path / "t.tar", tmp_path / "there")
        assert list((tmp_path / "there").iterdir()) == []  # it was there before: it stays


def test_damaged_archive(released_tar: Path, tmp_path: Path):
    (tmp_path / "cut.tar.gz").write_bytes(released_tar.read_bytes()[:100_000])
    (tmp_path / "no.tar.gz").write_bytes(b"nothing")
    for name in ("cut.tar.gz", "no.tar.gz"):
        with pytest.raises(FetchError, match=f"{name} is not a sound tar archive"):
            import_archive(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()
