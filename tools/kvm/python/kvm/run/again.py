# SPDX-License-Identifier: GPL-2.0-only
"""From what was asked for back to the words that ask for it: how a run is repeated.

Each field of the options is said, unless it has its default or is named as one that says nothing
of a run; so an option that is new can't be forgotten.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def words(
    options: DataclassInstance, spelled: Mapping[str, str], unsaid: Container[str] = ()
) -> Iterator[str]:
    """The options as a command line has them.

    ``spelled`` is how a field is said where that is not ``--ITS-NAME=VALUE``: the option's name, or
    that with a format for the value behind a ``=``.
    """
    for field in fields(options):
        value = getattr(options, field.name)
        if field.name in unsaid or field.default is MISSING or value == field.default:
            continue
        name, equals, form = spelled.get(field.name, field.name.replace("_", "-")).partition("=")
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, bool):
                yield f"--{name}" if one else f"--no-{name}"
            else:
                yield f"--{name}={form.format(one) if equals else _text(one)}"


def _text(value: Any) -> str:
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)
