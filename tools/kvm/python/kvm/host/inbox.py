# SPDX-License-Identifier: GPL-2.0-only
"""Where a session's messages wait between the thread that receives them and its user.

Native and lab sessions share it: a reading thread puts, the user's thread takes.
"""

from __future__ import annotations

import contextlib
import json
import queue
from collections.abc import Iterator
from pathlib import Path

from kvm.host.base import Event, HostLost

STDERR_LOG = "vmm.log"

_TAIL_CHARS = 8000


class Inbox:
    """The events of one worker, its diagnostics and its end."""

    def __init__(self, run_dir: Path) -> None:
        self._queue: queue.SimpleQueue[Event | int | HostLost] = queue.SimpleQueue()
        self._log = run_dir / STDERR_LOG
        self._tail = ""
        self._ended = False
        self.exit_status: int | None = None

    @property
    def stderr_tail(self) -> str:
        return self._tail

    def put_event(self, event: Event) -> None:
        self._queue.put(event)

    def put_line(self, line: bytes) -> None:
        """A line of the worker's stdout; what is no event is a diagnostic."""
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict):
            self._queue.put(event)
        else:
            self.put_text(line.decode(errors="replace") + "\n")

    def put_text(self, text: str) -> None:
        self._tail = (self._tail + text)[-_TAIL_CHARS:]
        with contextlib.suppress(OSError), self._log.open("a", errors="replace") as stream:
            stream.write(text)

    def end(self, status: int) -> None:
        self._queue.put(status)

    def lose(self, loss: HostLost) -> None:
        self._queue.put(loss)

    def events(self, timeout_s: float) -> Iterator[Event | None]:
        while not self._ended:
            try:
                item = self._queue.get(timeout=timeout_s)
            except queue.Empty:
                yield None
                continue
            if isinstance(item, dict):
                yield item
                continue
            self._ended = True
            if isinstance(item, HostLost):
                raise item
            self.exit_status = item
