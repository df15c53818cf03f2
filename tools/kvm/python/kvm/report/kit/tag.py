# SPDX-License-Identifier: GPL-2.0-only
"""The only way to make markup: whatever is not ``Markup`` becomes text.

A guest's text reaches the page as plain ``str``, so it can't become elements, wherever in the
report it appears.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

from kvm.output.words import clean

_VOID = frozenset(("br", "hr", "input", "link", "meta"))


class Markup(str):
    """Text that is HTML."""

    __slots__ = ()


Content = str | Iterable[str] | None


def tag(name: str, /, *content: Content, **attributes: str | int | bool | None) -> Markup:
    """``tag("p", "a < b", class_="x")``. Attributes that are None or False are left out."""
    words = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{words}>")
    return Markup(f"<{name}{words}>{join(*content)}</{name}>")


def join(*content: Content) -> Markup:
    """Several pieces joined into one."""
    return Markup("".join(_piece(item) for item in content))


def _piece(item: Content) -> str:
    if item is None:
        return ""
    if isinstance(item, Markup):
        return item
    if isinstance(item, str):
        return html.escape(clean(item), quote=False)
    return join(*item)


def _attribute(key: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(clean(str(value)))}"'
