"""Dataclasses from the plain values of JSON."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any


def rebuilt(kind: type, data: Mapping[str, Any]) -> Any:
    """A dataclass from the plain values of its fields, in which JSON has lists for tuples; fields
    that are dataclasses too are rebuilt likewise.
    """
    hints, values = typing.get_type_hints(kind), {}
    for name, value in data.items():
        among = [t for t in (hints[name], *typing.get_args(hints[name])) if isinstance(t, type)]
        nested = next((t for t in among if dataclasses.is_dataclass(t)), None)
        if isinstance(value, list):
            value = tuple(value)
        elif isinstance(value, dict) and nested is not None:
            value = rebuilt(nested, value)
        values[name] = value
    return kind(**values)
