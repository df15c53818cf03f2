# SPDX-License-Identifier: GPL-2.0-only
"""Writes bytes that wait for a reader that may be slow."""

from __future__ import annotations

import os


def write_waiting(fd: int, waiting: bytearray) -> None:
    """Write what the non-blocking ``fd`` takes now; the rest stays in ``waiting``.

    Raises ``OSError`` if it will never be read.
    """
    while waiting:
        try:
            count = os.write(fd, waiting)
        except BlockingIOError:
            return
        del waiting[:count]
