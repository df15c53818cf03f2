# SPDX-License-Identifier: GPL-2.0-only
"""A session's messages between the thread that receives them and their user.

Native and lab sessions share it: a reader thread puts, the user's thread takes.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from kvm.host.base import Event, HostLost

STDERR_LOG = "vmm.log"

_TAIL_CHARS = 8000
# A library that warns about each packet of a guest must not fill the disk.
LOG_LIMIT_CHARS = 1 << 20
# An event carries up to 64 KiB of the guest's bytes. If the user does not read the command's
# output, first the reader thread waits, then the worker, and at last the guest.
MAX_WAITING = 256
_LOOK_AGAIN_S = 0.2


class Inbox:
    """The events of one worker, its diagnostics and its end.

    The reading thread waits while the inbox is full and the user takes from it; meanwhile it calls
    ``meanwhile`` now and then.
    """

    def __init__(self, run_dir: Path, meanwhile: Callable[[], None] = lambda: None) -> None:
        self._room = threading.Semaphore(MAX_WAITING)
        self._meanwhile = meanwhile
        self._closed = False
        self._queue: queue.SimpleQueue[Event | int | HostLost] = queue.SimpleQueue()
        self._log = run_dir / STDERR_LOG
        self._tail = ""
        self._logged_chars = 0
        self._ended = False
        self.exit_status: int | None = None

    @property
    def stderr_tail(self) -> str:
        return self._tail

    def put_event(self, event: Event) -> None:
        while not self._closed and not self._room.acquire(timeout=_LOOK_AGAIN_S):
            self._meanwhile()
        self._queue.put(event)

    def put_line(self, line: bytes) -> None:
        """Put a line of the worker's stdout; a line that is no event is a diagnostic."""
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict):
            self.put_event(event)
        else:
            self.put_text(line.decode(errors="replace") + "\n")

    def put_text(self, text: str) -> None:
        self._tail = (self._tail + text)[-_TAIL_CHARS:]
        kept = text[: LOG_LIMIT_CHARS - self._logged_chars]
        if not kept:
            return
        self._logged_chars += len(kept)
        with contextlib.suppress(OSError), self._log.open("a", errors="replace") as stream:
            stream.write(kept)

    def end(self, status: int) -> None:
        self._queue.put(status)

    def lose(self, loss: HostLost) -> None:
        self._queue.put(loss)

    def events(self, timeout_s: float) -> Iterator[Event | None]:
        """Events until the worker's end. No limit holds once the caller stops iterating."""
        self._closed = False
        try:
            yield from self._events(timeout_s)
        finally:
            self._closed = True

    def _events(self, timeout_s: float) -> Iterator[Event | None]:
        while not self._ended:
            try:
                item = self._queue.get(timeout=timeout_s)
            except queue.Empty:
                yield None
                continue
            if isinstance(item, dict):
                self._room.release()
                yield item
                continue
            self._ended = True
            if isinstance(item, HostLost):
                raise item
            self.exit_status = item
