"""Tracks beside a prediction (``orca-cool predict --tracks``): their names and files. Nothing here
needs torch; :mod:`orca_cool.prediction.track_writer` writes them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from orca_cool.errors import ModelError
from orca_cool.genome.regions import closest
from orca_cool.model.spec import ModelDescription

#: What ``--tracks`` takes: insulation, the first eigenvector, all chromatin profiles of the model.
INSULATION, E1, PROFILES = TRACKS = ("insulation", "e1", "profiles")


def chosen_tracks(tracks: str | Sequence[str]) -> tuple[str, ...]:
    """The tracks that are asked for, each once, in the order of :data:`TRACKS`.

    Parameters
    ----------
    tracks : names, or a text with commas between them.

    Raises
    ------
    ModelError
        If a name is not known; the message quotes it and the nearest one that is.

    Examples
    --------
    >>> chosen_tracks("e1, insulation")
    ('insulation', 'e1')
    """
    names = [t.strip() for t in (tracks.split(",") if isinstance(tracks, str) else tracks)]
    for name in names:
        if name not in TRACKS:
            near = closest(name, TRACKS)
            meant = "" if near is None else f"did you mean {near!r}? "
            raise ModelError(f"track {name!r} is not known; {meant}there are {', '.join(TRACKS)}")
    return tuple(name for name in TRACKS if name in names)


def require_profiles(spec: ModelDescription, tracks: Sequence[str]) -> None:
    """ModelError if profiles are asked for and the model predicts none."""
    if PROFILES in tracks and not spec.profiles:
        raise ModelError(
            f"model {spec.name!r} predicts no chromatin profiles; leave {PROFILES!r} out of "
            f"--tracks"
        )


def track_path(output: Path, track: str) -> Path:
    """``out.mcool`` -> ``out.<track>.bw``."""
    return output.with_name(f"{output.name.removesuffix('.mcool')}.{track}.bw")


def profile_paths(output: Path, profiles: Sequence[str]) -> list[Path]:
    """The file of each profile: ``out.<profile>.bw``, in which what file names do not like is an
    underscore; of names that are the same then (in any case of letters) the later ones are
    numbered.

    Examples
    --------
    >>> [p.name for p in profile_paths(Path("x.mcool"), ["CTCF(+)", "Pol 2", "e1"])]
    ['x.CTCF_+.bw', 'x.Pol_2.bw', 'x.e1_2.bw']
    """
    taken, out = set(TRACKS), []
    for profile in profiles:
        plain = re.sub(r"[^A-Za-z0-9_+-]+", "_", profile)[:100].strip("_") or "profile"
        name, number = plain, 1
        while name.lower() in taken:
            number += 1
            name = f"{plain}_{number}"
        taken.add(name.lower())
        out.append(track_path(output, name))
    return out
