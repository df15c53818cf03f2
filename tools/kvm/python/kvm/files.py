# SPDX-License-Identifier: GPL-2.0-only
"""Files that are whole or not there at all, and folders that do not grow for ever."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

UNFINISHED = "new-"


def write_whole(path: Path, text: str) -> None:
    """Write beside ``path`` and rename over it: a reader never sees half of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def keep_newest(folder: Path, count: int) -> None:
    """Remove all but the ``count`` artifacts used last.

    What is still being made (``UNFINISHED``) belongs to whoever makes it.
    """
    present = [path for path in folder.iterdir() if not path.name.startswith(UNFINISHED)]
    present.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in present[count:]:
        shutil.rmtree(old, ignore_errors=True)
