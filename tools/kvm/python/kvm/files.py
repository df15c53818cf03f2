# SPDX-License-Identifier: GPL-2.0-only
"""Writes files completely or not at all, and keeps folders from growing forever."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

UNFINISHED = "new-"


def write_whole(path: Path, text: str) -> None:
    """Write beside ``path`` and rename, so that a reader never sees half of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_or_tell(path: Path, text: str) -> None:
    """Write a file that is not essential for a verdict; a full disk is only reported.

    Characters that UTF-8 can't encode become question marks.
    """
    try:
        write_whole(path, text.encode("utf-8", "replace").decode())
    except OSError as error:
        print(f"{path} could not be written: {error.strerror}", file=sys.stderr)


def keep_newest(folder: Path, count: int) -> None:
    """Remove all but the ``count`` most recently used artifacts.

    Unfinished ones (``UNFINISHED``) belong to the process that makes them.
    """
    present = [path for path in folder.iterdir() if not path.name.startswith(UNFINISHED)]
    present.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in present[count:]:
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink(missing_ok=True)
