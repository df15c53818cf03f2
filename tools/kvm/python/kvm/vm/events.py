# SPDX-License-Identifier: GPL-2.0-only
"""The worker's output: one JSON object per line. Writing never blocks on the reader unless asked
to; the worker stops reading its guest while this is ``full``, so nothing piles up."""

from __future__ import annotations

import json
import os
import select
from binascii import b2a_base64
from collections.abc import Mapping
from typing import Any

from kvm.waiting import write_waiting

_FULL_BYTES = 256 * 1024


class EventWriter:
    """``send`` queues and writes what fits; if the reader is gone it does nothing."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._pending = bytearray()
        self._closed = False
        os.set_blocking(fd, False)

    @property
    def pending(self) -> bool:
        return bool(self._pending)

    @property
    def closed(self) -> bool:
        """Whether the reader is gone."""
        return self._closed

    @property
    def full(self) -> bool:
        return len(self._pending) >= _FULL_BYTES

    @staticmethod
    def text_of(data: bytes) -> str:
        """Bytes as they appear in an event."""
        return b2a_base64(data, newline=False).decode("ascii")

    def send(self, event: str, **fields: Any) -> None:
        """Send an event; ``bytes`` fields become base64."""
        record = {"event": event}
        for name, value in fields.items():
            record[name] = self.text_of(value) if isinstance(value, bytes) else value
        self.send_record(record)

    def send_record(self, record: Mapping[str, Any]) -> None:
        if not self._closed:
            self._pending += json.dumps(record).encode() + b"\n"
            self.flush()

    def flush(self) -> None:
        """Write what the reader takes now."""
        try:
            write_waiting(self.fd, self._pending)
        except OSError:
            self._closed = True
            self._pending.clear()

    def flush_all(self) -> None:
        """Wait until the reader has taken everything or is gone."""
        waiter = select.poll()
        waiter.register(self.fd, select.POLLOUT)
        while self._pending:
            waiter.poll()
            self.flush()
