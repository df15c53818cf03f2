# SPDX-License-Identifier: GPL-2.0-only
"""Unix sockets for this user's own programs, in a folder that no other user may enter.

A socket is named after the process that listens, so that one left by a killed process is
recognized and removed by the next.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from kvm.errors import UserError
from kvm.host.instance import runtime_folder

_numbers = itertools.count(1)


@contextlib.contextmanager
def place(kind: str) -> Iterator[Path]:
    """A free path for a socket; whatever is created there is removed at the end."""
    folder = runtime_folder() / f"{kind}s"
    folder.mkdir(mode=0o700, exist_ok=True)
    for left in folder.iterdir():
        pid = left.name.partition("-")[0]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            left.unlink(missing_ok=True)
    path = folder / f"{os.getpid()}-{next(_numbers)}"
    path.unlink(missing_ok=True)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def listen(path: Path, backlog: int) -> socket.socket:
    """A socket at ``path`` that this user alone may connect to."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        server.bind(os.fspath(path))
        path.chmod(0o600)  # before any other user can connect
        server.listen(backlog)
    except OSError as error:
        server.close()
        raise UserError(
            f"{path}: {error.strerror or error}",
            "set XDG_RUNTIME_DIR to a folder of yours with a shorter path",
        ) from error
    return server
