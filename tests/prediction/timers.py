"""Timers of number types that a test decides, in this process and in those that it starts."""

import os
from pathlib import Path

from orca_cool.prediction import number_types

#: Seconds of float32 and of what approximates.
FASTER, SLOWER = (1.0, 0.5), (0.5, 1.0)


def install(monkeypatch, *found):
    """Have timings find ``found`` in turn, and fail beyond; the list that is returned has one more
    element for each.
    """
    asked = []

    def compare(*_):
        asked.append(found[len(asked)])
        return asked[-1]

    monkeypatch.setattr(number_types, "compare", compare)
    return asked


def of_subprocesses(folder: Path, first: tuple[float, float], later: tuple[float, float]):
    """The environment of processes in which the first timing of all finds ``first`` and each later
    one ``later``; the file "timed" in ``folder`` has a line for each.
    """
    (folder / "sitecustomize.py").write_text(
        f"""
import os
from orca_cool.prediction import number_types

def compare(*_):
    with open({str(folder / "timed")!r}, "ab") as stream:
        stream.write(b"%d\\n" % os.getpid())
        return {first!r} if stream.tell() < 12 else {later!r}

number_types.compare = compare
"""
    )
    here = Path(__file__).resolve().parents[2]
    paths = [str(folder), str(here), str(here / "tests")]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
