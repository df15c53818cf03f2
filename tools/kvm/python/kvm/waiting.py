# SPDX-License-Identifier: GPL-2.0-only
"""Bytes that wait for a reader who may be slow."""

from __future__ import annotations

import os


def write_waiting(fd: int, waiting: bytearray) -> None:
    """Write what ``fd``, which does not block, takes now; the rest stays in ``waiting``.

    Raises ``OSError`` when nobody will read it.
    """
    while waiting:
        try:
            count = os.write(fd, waiting)
        except BlockingIOError:
            return
        del waiting[:count]
