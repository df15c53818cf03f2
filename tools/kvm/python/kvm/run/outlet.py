# SPDX-License-Identifier: GPL-2.0-only
"""The user's stdout and stderr, to which a thread of its own writes.

Whoever reads them may be slow (a pager), or never read again, and a write to a pipe, a terminal
or a file then waits. Here nobody else waits with it: a run goes on looking at its deadlines, and
brings no more than the reader takes.
"""

from __future__ import annotations

import collections
import os
import select
import threading
from collections.abc import Callable

# As much as a pipe takes in one piece or not at all (pipe(7)), so that what is lost can be counted.
_PIECE_BYTES = select.PIPE_BUF


class Outlet:
    """Takes bytes for any descriptor and writes them in the order they came.

    ``before`` is called before each of them is written, on the thread. The descriptors are the
    user's, shared with other processes: that one of them does not block is neither assumed nor
    arranged.
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
        """Have it written; returns at once."""
        with self._changed:
            if self._refused is not None or not data:
                return
            pieces = range(0, len(data), _PIECE_BYTES)
            self._queue.extend((fd, data[at : at + _PIECE_BYTES]) for at in pieces)
            self._unread += len(data)
            self._changed.notify_all()
            if self._thread is None:
                # A reader who never comes back must not keep the process from ending.
                self._thread = threading.Thread(target=self._work, name="outlet", daemon=True)
                self._thread.start()

    def wait(self, below: int, timeout_s: float) -> bool:
        """Whether fewer bytes than ``below`` are unread, within that time.

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
        """Wait no longer than that, and forget the rest: so many bytes are lost."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._refused is not None or not self._unread, patience_s
            )
            lost = self._unread
            self._queue.clear()
            self._unread = self._in_hand  # the thread can't let go of that
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
        except BlockingIOError:  # whoever shares it with us has made it so
            waiter = select.poll()
            waiter.register(fd, select.POLLOUT)
            waiter.poll()
