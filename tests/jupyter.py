"""A JupyterLab on this machine, and a notebook of it in a browser, for the tests of the widget."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from browser import PATIENCE, ROOT, kept_picture, new_tab

#: As a hub or a proxy has it: below a prefix.
PREFIX = "/user/someone/"
TOKEN = "a-token-of-the-tests"


class JupyterLab:
    """JupyterLab in a folder of its own: none of the user's settings, and no questions to the
    internet.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.process: subprocess.Popen | None = None
        self.url = ""

    def start(self) -> None:
        places = {
            name: str(self.folder / name.lower())
            for name in (
                "JUPYTER_RUNTIME_DIR",
                "JUPYTER_CONFIG_DIR",
                "JUPYTER_DATA_DIR",
                "JUPYTERLAB_SETTINGS_DIR",
                "JUPYTERLAB_WORKSPACES_DIR",
                "IPYTHONDIR",
                "HOME",
            )
        }
        for place in places.values():
            Path(place).mkdir(parents=True, exist_ok=True)
        about = Path(places["JUPYTERLAB_SETTINGS_DIR"]) / "@jupyterlab" / "apputils-extension"
        about.mkdir(parents=True)
        quiet = {"fetchNews": "false", "checkForUpdates": False}
        (about / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
        work = self.folder / "work"
        work.mkdir()
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *("--expose-app-in-browser", "--JupyterNotebookApp.expose_app_in_browser=True"),
            *("--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"),
            *(f"--ServerApp.base_url={PREFIX}", f"--ServerApp.root_dir={work}"),
            *(f"--IdentityProvider.token={TOKEN}", "--ServerApp.terminals_enabled=False"),
        ]
        env = {**os.environ, **places, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, cwd=work, env=env, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE / 1000
        while not self.url:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "JupyterLab does not start"
            for found in Path(places["JUPYTER_RUNTIME_DIR"]).glob("jpserver-*.json"):
                try:
                    self.url = json.loads(found.read_text())["url"]
                except ValueError:  # half written
                    continue
            time.sleep(0.1)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
            self.process = None

    def write(self, name: str, *cells: str) -> None:
        """Write a notebook."""
        made = [
            {
                "cell_type": "code",
                "id": f"cell-{n}",
                "source": source,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
            for n, source in enumerate(cells)
        ]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = {
            "cells": made,
            "metadata": {"kernelspec": kernel},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        (self.folder / "work" / name).write_text(json.dumps(notebook))


class NotebookPage:
    """A notebook in a tab that reaches this machine alone.

    Attributes
    ----------
    outside : addresses on other machines that were asked for; all were refused.
    problems : exceptions that nobody caught, with where they came from.
    """

    def __init__(self, browser: Any, lab: JupyterLab, size: tuple[int, int] = (1200, 700)):
        self.lab = lab
        self.tab = new_tab(browser, size)
        self.outside: list[str] = []
        self.problems: list[str] = []
        self.tab.route(
            lambda url: not url.startswith(("http://127.0.0.1:", "data:", "blob:")), self._refuse
        )
        self.tab.on("pageerror", lambda error: self.problems.append(error.stack or str(error)))

    def _refuse(self, route: Any) -> None:
        self.outside.append(route.request.url)
        route.abort()

    def run(self, name: str, app: str = "lab/tree") -> None:
        """Open a notebook in JupyterLab, or in Notebook 7 (``app="notebooks"``), and run all its
        cells.
        """
        self.tab.goto(f"{self.lab.url}{app}/{name}?token={TOKEN}&reset")
        self.wait(
            """() => {
              const shell = window.jupyterapp?.shell;
              const found = shell && [...shell.widgets("main")].find((w) => w.content?.widgets);
              if (found?.sessionContext?.session?.kernel?.status !== "idle") return false;
              if (shell.currentWidget !== found) shell.activateById(found.id);
              window.kernelOfTheTest = found.sessionContext.session.kernel;
              return shell.currentWidget === found;
            }"""
        )
        self.tab.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def until(self, holds: Callable[[], Any]) -> None:
        """Ask until something holds. (Playwright's own waiting stands still in JupyterLab.)"""
        deadline = time.monotonic() + 4 * PATIENCE / 1000
        while not holds():
            if time.monotonic() > deadline:
                self.picture("notebook-in-vain")
                raise AssertionError(self.tab.evaluate("document.body.innerText"))
            time.sleep(0.2)

    def wait(self, condition: str) -> None:
        """Wait until a function in the page returns something true."""
        self.until(lambda: self.tab.evaluate(condition))

    def holds(self, check: Callable[[], None]) -> None:
        """Repeat a check that asserts, for half a minute, until it passes."""
        deadline = time.monotonic() + PATIENCE / 4000
        while True:
            try:
                return check()
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.3)

    def execute(self, code: str) -> None:
        """Run code in the notebook's kernel."""
        answer = self.tab.evaluate(
            "async (code) => (await window.kernelOfTheTest.requestExecute({ code }).done).content",
            code,
        )
        assert answer["status"] == "ok", answer

    def value(self, expression: str) -> Any:
        """The value of an expression in the notebook's kernel."""
        answer = self.tab.evaluate(
            """async (found) => (await window.kernelOfTheTest.requestExecute(
              { code: "", user_expressions: { found } }).done).content.user_expressions.found""",
            expression,
        )
        return ast.literal_eval(answer["data"]["text/plain"])

    def picture(self, name: str) -> np.ndarray:
        """(rows, columns, 3) 0..255 of what is seen; kept in $ORCA_COOL_SCREENSHOTS, if that is
        set.
        """
        return kept_picture(self.tab, name)

    def close(self) -> None:
        self.tab.close()
