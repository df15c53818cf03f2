# SPDX-License-Identifier: GPL-2.0-only
"""Advisory locks, so that two commands in one checkout do not disturb each other.

A lock is an flock(2) on a file that names its holder; the kernel drops it when the holder ends in
any way, so there are no stale locks. With ``children``, processes that a killed holder started,
such as make and compilers, hold it until they have ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from kvm import process
from kvm.errors import UserError


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def locked(
    path: Path,
    purpose: str,
    *,
    wait_s: float = 1800.0,
    say: Callable[[str], None] = _say,
    children: bool = False,
) -> Iterator[None]:
    """Hold the lock file ``path``; if it is held, say by whom and wait up to ``wait_s``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(fd, path, wait_s, say)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{purpose} (pid {os.getpid()})".encode(), 0)
        if children:
            process.inherited.add(fd)
        yield
        os.ftruncate(fd, 0)
    finally:
        process.inherited.discard(fd)
        os.close(fd)


@contextlib.contextmanager
def first_free(
    paths: Sequence[Path], purpose: str, *, say: Callable[[str], None] = _say
) -> Iterator[Path]:
    """Hold the first of these lock files that is free; if all are held, wait for the first."""
    with contextlib.ExitStack() as held:
        for path in paths:
            with contextlib.suppress(UserError):
                held.enter_context(locked(path, purpose, wait_s=0))
                break
        else:
            path = paths[0]
            held.enter_context(locked(path, purpose, say=say))
        yield path


def holder(path: Path) -> str | None:
    """The holder of the lock, or None if it is free."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return os.pread(fd, 200, 0).decode(errors="replace") or "another command"
    finally:
        os.close(fd)


def _acquire(fd: int, path: Path, wait_s: float, say: Callable[[str], None]) -> None:
    deadline = time.monotonic() + wait_s
    told = False
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            who = os.pread(fd, 200, 0).decode(errors="replace") or "another command"
        if time.monotonic() >= deadline:
            raise UserError(
                f"{path.name} is held by {who}", "wait for it to end, or stop it, then try again"
            )
        if not told:
            say(f"waiting for {who} to release {path.name} …")
            told = True
        time.sleep(0.1)
