"""Models of other people: ``akita.py:Model``, a class or factory in a Python file, and entry points
of the group ``orca_cool.models``, by which an installed package brings a model.

Either runs somebody's code, so whoever starts the program must have named it: the command line and
Python take such models; model folders, configurations, addresses of tilesets and servers never do
(:func:`orca_cool.model.registry.resolve`, which they use, knows model folders alone).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from orca_cool.errors import ModelError, OrcaCoolError, shown
from orca_cool.genome.regions import few
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.registry import ADDRESS, is_address
from orca_cool.model.spec import ModelDescription
from orca_cool.model.window_model import WindowModel

#: Group of entry points of packages that bring a model.
GROUP = "orca_cool.models"

#: What a model must have (:class:`~orca_cool.model.window_model.WindowModel`), and of what type.
ATTRIBUTES: dict[str, type] = {
    "spec": ModelDescription,
    "digest": str,
    "context": int,
    "capabilities": frozenset,
}
METHODS = ("expected", "predict")

T = TypeVar("T")


def entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    """Entry points of installed packages that bring a model, by name; none of them is loaded."""
    return {entry.name: entry for entry in importlib.metadata.entry_points(group=GROUP)}


class ForeignModel:
    """A model of somebody else; its mistakes are told as errors that name it.

    Parameters
    ----------
    model : what the file or package made.
    origin : how the model was named.
    stamp : what tells two states of its code apart; part of the digest.
    file : the Python file, whose lines errors quote; None: the code of a package.

    Raises
    ------
    ModelError
        If the model lacks something, or something is of another type or contradicts itself.
    """

    def __init__(self, model: WindowModel, origin: str, stamp: str, file: Path | None = None):
        self.model, self.origin, self.file = model, origin, file
        found = {name: self._attribute(name, kind) for name, kind in ATTRIBUTES.items()}
        for name in METHODS:
            if not callable(getattr(model, name, None)):
                raise ModelError(f"model {origin!r} has no method {name!r}; {_HELP}")
        self.spec: ModelDescription = found["spec"]
        self.context: int = found["context"]
        self.capabilities: frozenset[str] = found["capabilities"]
        if self.context < 0:
            raise ModelError(f"model {origin!r}: context {self.context} must be 0 bp or more")
        if not found["digest"]:
            raise ModelError(f"model {origin!r}: digest '' must say which weights it has")
        digest = hashlib.sha256(f"{found['digest']}\n{stamp}".encode())
        #: of the weights, as the model says, and of the code
        self.digest = digest.hexdigest()
        self.spec.check_levels()
        for module in self.spec.modules:
            self.expected(module)

    def _attribute(self, name: str, kind: type) -> Any:
        with self._told(name):
            try:
                value = getattr(self.model, name)
            except AttributeError as error:
                raise ModelError(f"model {self.origin!r} has no {name!r}; {_HELP}") from error
        if name == "capabilities" and isinstance(value, set):
            value = frozenset(value)
        if not isinstance(value, kind):
            raise ModelError(
                f"model {self.origin!r}: {name} is {shown(value)}, expected one of type "
                f"{kind.__name__}; {_HELP}"
            )
        return value

    @property
    def name(self) -> str:
        """The model's name, as files call it."""
        return self.spec.name

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of its modules."""
        return tuple(module.name for module in self.spec.modules)

    @property
    def levels(self) -> tuple[int, ...]:
        """Resolutions in bp that it predicts, finest first."""
        return self.spec.resolutions

    @property
    def cell_types(self) -> tuple[str, ...]:
        """The cell type whose maps it predicts; empty if it names none."""
        return self.spec.known_cell_types

    @property
    def licence(self) -> str:
        """Terms under which it may be used, as it says."""
        return self.spec.licence

    def expected(self, module: ModuleSpec) -> ExpectedModel:
        """See :class:`~orca_cool.model.window_model.WindowModel`."""
        with self._told("expected"):
            found = self.model.expected(module)
        if not isinstance(found, ExpectedModel):
            raise ModelError(
                f"model {self.origin!r}: expected of module {module.name!r} is {shown(found)}, not "
                f"an ExpectedModel (orca_cool.maps.expected_model)"
            )
        for r in module.resolutions:
            known = found.by_distance(r, self.spec.bins)
            if not np.isfinite(known).any() or not (known[np.isfinite(known)] > 0).all():
                raise ModelError(
                    f"model {self.origin!r}: expected of module {module.name!r} at {r} bp must be "
                    f"frequencies above 0"
                )
        return found

    def predict(self, codes: np.ndarray) -> np.ndarray:
        """See :class:`~orca_cool.model.window_model.WindowModel`."""
        with self._told("predict"):
            return self.model.predict(codes)

    def __repr__(self) -> str:
        return f"<ForeignModel {self.origin!r}: {self.spec.name!r}>"

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        with told(f"model {self.origin!r}: {what} failed", self.file):
            yield


_HELP = 'docs/python.md, "Somebody else\'s model", lists what a model has'


@contextmanager
def told(what: str, file: Path | None) -> Iterator[None]:
    """Turn whatever somebody's code raises into a ModelError.

    Parameters
    ----------
    what : failed, as the message begins.
    file : whose line the message quotes, where the error has passed it.
    """
    try:
        yield
    except OrcaCoolError:
        raise
    except (Exception, SystemExit) as error:
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if file is not None and frame.filename == str(file)
        ]
        if isinstance(error, SyntaxError) and error.filename == str(file):
            lines.append(error.lineno)
        where = f" (line {lines[-1]} of {file})" if lines else ""
        text = " ".join(str(error).split())[:300]
        name = type(error).__name__
        raise ModelError(f"{what}: {name}{': ' * bool(text)}{text}{where}") from error


@dataclass(frozen=True)
class _Made:
    """A model that this process has made."""

    stamp: str
    model: ForeignModel


#: By address; a file that was changed since is read anew.
_MADE: dict[str, _Made] = {}


def foreign_model(text: str) -> ForeignModel:
    """The model of an address or of an entry point; made once in a process.

    Parameters
    ----------
    text : ``FILE.py:NAME``, where NAME is a class or a function that is called without arguments,
        or a model; or the name of an entry point.

    Raises
    ------
    ModelError
        If the file or the name is not there, its code fails, or what it makes is no model.
    """
    return _of_file(text) if is_address(text) else _of_entry_point(text)


def _of_file(text: str) -> ForeignModel:
    match = ADDRESS.fullmatch(text)
    assert match is not None
    path, name = Path(match["file"]).expanduser().absolute(), match["name"]
    if not name:
        raise ModelError(
            f"model {text!r} names no class or function of the file; write {match['file']}:NAME"
        )
    try:
        source = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"model {text!r}: {match['file']} cannot be read: {error.strerror or error}"
        ) from error
    stamp = hashlib.sha256(source).hexdigest()
    key = f"{path}:{name}"
    if key not in _MADE or _MADE[key].stamp != stamp:
        module = _module(path, source, stamp, text)
        if not hasattr(module, name):
            there = [n for n in vars(module) if not n.startswith("_")]
            raise ModelError(
                f"model {text!r}: {match['file']} has no {name!r}; it has: {few(there, 10)}"
            )
        _MADE[key] = _Made(stamp, _make(getattr(module, name), text, stamp, path))
    return _MADE[key].model


def _module(path: Path, source: bytes, stamp: str, text: str) -> ModuleType:
    """Run a Python file. What lies beside it can be imported."""
    name = f"_orca_cool_model_{hashlib.sha256(f'{path} {stamp}'.encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(path)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # last: it hides nothing that is installed
    sys.modules[name] = module  # where dataclasses look for it
    try:
        with told(f"model {text!r} cannot be read", path):
            exec(compile(source, str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _of_entry_point(name: str) -> ForeignModel:
    entry = entry_points()[name]
    dist = entry.dist
    stamp = f"{entry.value} {'' if dist is None else f'{dist.name} {dist.version}'}"
    if name not in _MADE or _MADE[name].stamp != stamp:
        with told(f"model {name!r} ({entry.value}) cannot be imported", None):
            made = entry.load()
        _MADE[name] = _Made(stamp, _make(made, name, stamp, None))
    return _MADE[name].model


def _make(made: Any, text: str, stamp: str, file: Path | None) -> ForeignModel:
    """The model that a class or a factory makes, or that is there already."""
    if isinstance(made, type) or not hasattr(made, "predict"):
        if not callable(made):
            raise ModelError(f"model {text!r} is {shown(made)}, no class, factory or model")
        factory: Callable[[], Any] = made
        with told(f"model {text!r} cannot be made", file):
            made = factory()
    return ForeignModel(made, text, stamp, file)
