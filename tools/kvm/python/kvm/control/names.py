# SPDX-License-Identifier: GPL-2.0-only
"""The names of running machines: a socket for each, in this user's folder.

A socket without a listener was left by a killed process; the next process to find it removes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from kvm.errors import UsageError, UserError
from kvm.host.instance import runtime_folder
from kvm.lock import locked

_NAME_CHARACTERS = 48
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,47}")
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+|^[._-]+")
_LOCK_WAIT_S = 10.0
_BACKLOG = 16


def check(name: str) -> None:
    """Raise ``UserError`` unless a machine may have this name."""
    if not _NAME.fullmatch(name):
        raise UserError(
            f"--name {name!r}", "use up to 48 letters, digits, dots, dashes and underscores"
        )


def made_of(text: str) -> str:
    """The valid name that is nearest to ``text``."""
    return _NO_NAME.sub("-", text).strip("-")[: _NAME_CHARACTERS - 8] or "machine"


def ensure_free(name: str) -> None:
    """Raise ``UserError`` if a running machine has the name."""
    with _alone():
        if _is_taken(name):
            raise _in_use(name)


def listen(name: str, *, exact: bool) -> tuple[str, socket.socket]:
    """A listening socket of this name or, unless ``exact``, ``name-2`` and so on.

    Raises ``UserError`` if a running machine has the name.
    """
    with _alone():
        number = 1
        wanted = name
        while _is_taken(wanted):
            if exact:
                raise _in_use(name)
            number += 1
            wanted = f"{name}-{number}"
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            server.bind(os.fspath(path_of(wanted)))
            server.listen(_BACKLOG)
        except OSError as error:
            server.close()
            raise UserError(
                f"{path_of(wanted)}: {error.strerror or error}",
                "set XDG_RUNTIME_DIR to a folder of yours with a shorter path",
            ) from error
        return wanted, server


def connect(name: str, timeout_s: float) -> socket.socket:
    """A connection to the machine's process. Raises ``UserError`` naming the running machines."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(timeout_s)
    try:
        if not _NAME.fullmatch(name):
            raise FileNotFoundError(name)
        _wait_in_line(client, path_of(name), timeout_s)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        client.close()
        raise _no_such(name) from error
    except OSError:
        client.close()
        raise
    return client


def _wait_in_line(client: socket.socket, path: Path, timeout_s: float) -> None:
    """Retry: a Unix socket whose backlog is full refuses at once, whatever its timeout."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            client.connect(os.fspath(path))
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.01)


def running() -> tuple[str, ...]:
    """The names in use, in order."""
    with _alone():
        found = sorted(path.stem for path in _folder().glob("*.sock"))
        return tuple(name for name in found if _is_taken(name))


def path_of(name: str) -> Path:
    return _folder() / f"{name}.sock"


def _folder() -> Path:
    folder = runtime_folder() / "machines"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with locked(_folder() / "lock", "looking for a machine's name", wait_s=_LOCK_WAIT_S):
        yield


def _is_taken(name: str) -> bool:
    """Whether a process listens; a socket without a listener is removed."""
    path = path_of(name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except FileNotFoundError:
            return False
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return False
        except OSError as error:
            if error.errno != errno.EAGAIN:  # its backlog is full, so there is a listener
                raise
        return True


def _in_use(name: str) -> UserError:
    return UserError(
        f"a machine called {name} is running already",
        f"choose another --name, or end it: ./invoke machine.stop {name}",
    )


def _no_such(name: str) -> UsageError:
    names = running()
    hint = f"running: {', '.join(names)}" if names else "no machine is running"
    return UsageError(f"no machine called {name!r} is running", hint)
