# SPDX-License-Identifier: GPL-2.0-only
"""Where a report goes: ``FILE.html``, ``FORMAT:FILE``, and ``-`` for stdout.

The formats are each report's own: a table from a suffix or a name to what it stands for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kvm.errors import UserError
from kvm.files import write_whole

STDOUT = "-"


def parse(word: str, formats: dict[str, str]) -> tuple[str, str]:
    """``"a.html"`` → ("html", "a.html"); ``"json:-"`` → ("json", "-")."""
    named, colon, file = word.partition(":")
    is_named = bool(colon) and named in formats
    kind = named if is_named else Path(word).suffix.removeprefix(".")
    if kind not in formats:
        raise UserError(
            f"--output {word}: no format is known by that name",
            f"end the file's name in {_endings(formats)}, or write FORMAT:FILE",
        )
    target = file if is_named else word
    if not target:
        raise UserError(f"--output {word}: no file is named", f"write {word}FILE, or {word}-")
    return formats[kind], target


def refuse_twice(targets: Sequence[str]) -> None:
    """One report would replace the other."""
    twice = next((target for target in targets if targets.count(target) > 1), None)
    if twice is not None:
        raise UserError(f"two reports are to be written to {twice}", "name a file for each")


def put(target: str, text: str) -> None:
    """Write a report; its folder is made."""
    if target == STDOUT:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    path = Path(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise UserError(
            f"the report cannot be written to {path}: {error.strerror}",
            "name another file, or - for stdout",
        ) from error


def _endings(formats: dict[str, str]) -> str:
    """The first suffix of each format."""
    first = {form: suffix for suffix, form in reversed(formats.items())}
    *others, last = (f".{suffix}" for suffix in formats if suffix in first.values())
    return f"{', '.join(others)} or {last}" if others else last
