# SPDX-License-Identifier: GPL-2.0-only
"""Converts dataclasses to JSON and back, by the types of their fields."""

from __future__ import annotations

from dataclasses import field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

_HERE_ONLY = "here_only"
_REQUIRED = "required"


def here_only(default: Any, **more: Any) -> Any:
    """A field that is not part of the JSON."""
    return field(default=default, metadata={_HERE_ONLY: True}, **more)


def required(default: Any) -> Any:
    """A field that must be in the JSON although it has a default."""
    return field(default=default, metadata={_REQUIRED: True})


def to_json(value: Any) -> Any:
    """An object for ``json.dumps``. A named tuple becomes a list."""
    if is_dataclass(value):
        return {
            one.name: to_json(getattr(value, one.name))
            for one in fields(value)
            if _HERE_ONLY not in one.metadata
        }
    if isinstance(value, (tuple, list)):
        return [to_json(one) for one in value]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def from_json(kind: type[T], record: Any) -> T:
    """The inverse of ``to_json``. Raises ``KeyError``, ``TypeError`` or ``ValueError``.

    Fields missing in the record get their default; unknown ones are ignored.
    """
    return _from_json(kind, record)  # type: ignore[no-any-return]


def _from_json(kind: Any, record: Any) -> Any:
    origin = get_origin(kind)
    if origin is UnionType:
        return None if record is None else _from_json(get_args(kind)[0], record)
    if origin is tuple:
        return _tuple_from_json(get_args(kind), record)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        for one in fields(kind):
            if _REQUIRED in one.metadata and one.name not in record:
                raise KeyError(one.name)
        return kind(**{k: _from_json(hints[k], v) for k, v in record.items() if k in hints})
    if issubclass(kind, tuple):
        return kind._make(_tuple_from_json(tuple(get_type_hints(kind).values()), record))
    return kind(record)


def _tuple_from_json(kinds: tuple[Any, ...], record: Any) -> tuple[Any, ...]:
    if kinds[-1] is Ellipsis:
        return tuple(_from_json(kinds[0], one) for one in record)
    return tuple(_from_json(*pair) for pair in zip(kinds, record, strict=True))
