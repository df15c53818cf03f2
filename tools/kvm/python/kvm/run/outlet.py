# SPDX-License-Identifier: GPL-2.0-only
"""The user's stdout and stderr, written by a separate thread.

Their reader may be slow (a pager), or never read again; a write to a pipe, a terminal or a file
then blocks. Here only the thread blocks: a run still checks its deadlines, and produces no more
than the reader takes.
"""

from __future__ import annotations

import collections
import os
import select
import threading
from collections.abc import Callable

# A pipe takes this much in one piece or not at all (pipe(7)), so that lost bytes can be counted.
_PIECE_BYTES = select.PIPE_BUF


class Outlet:
    """Takes bytes for any descriptor and writes them in the order they came.

    ``before`` is called on the thread before each write. The descriptors are the user's and shared
    with other processes, so they are neither assumed nor made to be non-blocking.
    """

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self._before = before
        self._changed = threading.Condition()
        self._queue: collections.deque[tuple[int, bytes]] = collections.deque()
        self._unread = 0
        self._in_hand = 0
        self._refused: OSError | None = None
        self._thread: threading.Thread | None = None

    def write(self, fd: int, data: bytes) -> None:
        """Queue ``data`` for writing; returns at once."""
        with self._changed:
            if self._refused is not None or not data:
                return
            pieces = range(0, len(data), _PIECE_BYTES)
            self._queue.extend((fd, data[at : at + _PIECE_BYTES]) for at in pieces)
            self._unread += len(data)
            self._changed.notify_all()
            if self._thread is None:
                # A reader that never reads again must not keep the process from ending.
                self._thread = threading.Thread(target=self._work, name="outlet", daemon=True)
                self._thread.start()

    def wait(self, below: int, timeout_s: float) -> bool:
        """Whether fewer than ``below`` bytes are unread, now or within ``timeout_s``.

        Raises the ``OSError`` of a descriptor that takes no more: a reader that left, a full disk.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._refused is not None or self._unread < below, timeout_s
            )
            if self._refused is not None:
                raise self._refused
            return self._unread < below

    def give_up(self, patience_s: float) -> int:
        """Wait at most ``patience_s``, then drop the rest; return how many bytes are lost."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._refused is not None or not self._unread, patience_s
            )
            lost = self._unread
            self._queue.clear()
            self._unread = self._in_hand  # the thread can't drop that
            return lost

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue)
                fd, data = self._queue.popleft()
                self._in_hand = len(data)
            try:
                self._before()
                _write_all(fd, data)
            except OSError as refused:
                with self._changed:
                    self._refused = refused
                    self._queue.clear()
                    self._changed.notify_all()
                return
            with self._changed:
                self._unread -= len(data)
                self._in_hand = 0
                self._changed.notify_all()


def _write_all(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:  # another process that shares it made it non-blocking
            waiter = select.poll()
            waiter.register(fd, select.POLLOUT)
            waiter.poll()
