# SPDX-License-Identifier: GPL-2.0-only
r"""Splits options that are lists of words, such as ``--disk PATH,ro``.

A comma in a word is written ``\,`` and a backslash ``\\``; before any other character a backslash
stands for itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_PIECE = re.compile(r"\\[\\,]|,|[^\\,]+|\\")


def split(text: str) -> list[str]:
    """The words of ``text``, at least one."""
    words = [""]
    for piece in _PIECE.findall(text):
        if piece == ",":
            words.append("")
        else:
            words[-1] += piece[1:] if piece in (r"\\", r"\,") else piece
    return words


def join(words: Iterable[str]) -> str:
    """The inverse of ``split``, for at least one word."""
    return ",".join(word.replace("\\", r"\\").replace(",", r"\,") for word in words)
