"""Networks of the Orca family, built by loops over a :class:`~orca_cool.model.spec.ModelSpec`."""

from orca_cool.model.cascade import Orca
from orca_cool.model.spec import ModelSpec

__all__ = ["ModelSpec", "Orca"]
