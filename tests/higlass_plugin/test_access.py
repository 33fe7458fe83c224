"""The server's rules of access; what they do to requests is tested in test_server.py."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("flask")

from higlass_plugin import server
from higlass_plugin.server import app
from higlass_plugin.server.access import hostname_of, is_token


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost:8989", "localhost"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[::1]:8989", "::1"),
        ("example.org:", "example.org"),
        ("", ""),
    ],
)
def test_names_of_hosts(host, name):
    assert hostname_of(host) == name


def test_a_token_is_compared_whole():
    assert is_token("a-token", "a-token")
    assert not any(is_token(text, "a-token") for text in (None, "", "a-toke", "a-token ", "\udcff"))


def test_access_and_the_socket_need_no_more_than_flask():
    """A program that only asks for them need not have what serving needs."""
    program = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.partition('.')[0] in {'clodius', 'prometheus_client', 'torch', 'waitress'}:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "import higlass_plugin.server.access, higlass_plugin.server.listen\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_the_package_gives_the_app():
    assert (server.create_app, server.create_blueprint) == (app.create_app, app.create_blueprint)
    with pytest.raises(AttributeError, match="no attribute 'create_everything'"):
        _ = server.create_everything
