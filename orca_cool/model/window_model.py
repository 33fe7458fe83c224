"""``WindowModel``: what any model must offer so that this package plans, joins, writes and serves
its maps.

A model predicts a square map from one window of sequence. Which windows cover a chromosome, how
their maps are joined without a seam, the .mcool with its expected tables and the tiles of HiGlass
follow from what is asked for here. Orca (:class:`orca_cool.model.bundle.Model`) is one such model;
an Akita-type network (one resolution, no cascade) is another.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription

#: Capability: sequence is encoded first, and encodings are shared by windows and by edits.
ENCODE = "encode"
#: Capability: gradients of maps with respect to the sequence can be had.
DIFFERENTIABLE = "differentiable"


class WindowModel(Protocol):
    """A model that predicts a map of ``bins`` x ``bins`` from a window of sequence.

    A class that has these attributes and methods is such a model; it need not inherit from
    anything. See ``examples/akita.py`` for a whole one.
    """

    @property
    def spec(self) -> ModelDescription:
        """Name, bins, modules with their resolutions, assemblies, cell type and licence."""
        ...

    @property
    def digest(self) -> str:
        """Hexadecimal digest of the weights: files and unfinished runs are recognised by it."""
        ...

    @property
    def context(self) -> int:
        """Sequence in bp that is read on either side of a window, at every resolution."""
        ...

    @property
    def capabilities(self) -> frozenset[str]:
        """What it can do besides: of ``ENCODE`` and ``DIFFERENTIABLE``; often empty.

        Without ``ENCODE`` edited genomes are predicted by whole windows; without
        ``DIFFERENTIABLE`` asking for gradients is an error.
        """
        ...

    def expected(self, module: ModuleSpec) -> ExpectedModel:
        """Expected contact frequency by distance that a module's maps are relative to.

        Its bin divides all of the module's resolutions.
        """
        ...

    def predict(self, codes: np.ndarray) -> np.ndarray:
        """Maps of windows of one resolution, from one strand.

        Parameters
        ----------
        codes : uint8, shape (n, bins * resolution + 2 * context): 0 A, 1 C, 2 G, 3 T, 4 anything
            else, also beyond a chromosome's ends. A model of several resolutions tells them apart
            by the width.

        Returns
        -------
        float32, shape (n, bins, bins): natural log of observed/expected, finite and symmetric. The
        caller predicts the reverse complement too and averages the two strands.
        """
        ...
