# SPDX-License-Identifier: GPL-2.0-only
"""The user's terminal in raw mode while a guest shell has it, and always given back."""

from __future__ import annotations

import base64
import os
import select
import shutil
import signal
import sys
import termios
import tty
from types import FrameType, TracebackType
from typing import Any


class Terminal:
    """Forwards keys and window sizes while active; does nothing when inactive."""

    def __init__(self, *, active: bool) -> None:
        self._active = active
        self._is_tty = active and sys.stdin.isatty()
        self._saved: list[Any] | None = None
        self._old_handler: Any = None
        self._resized = False
        self._ended = False

    def __enter__(self) -> Terminal:
        if self._is_tty:
            self._saved = termios.tcgetattr(sys.stdin)
            tty.setraw(sys.stdin)
            self._old_handler = signal.signal(signal.SIGWINCH, self._on_resize)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._saved is not None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._saved)
            signal.signal(signal.SIGWINCH, self._old_handler)

    def request(self) -> dict[str, Any]:
        """The tty part of a run request."""
        size = shutil.get_terminal_size()
        kind = {"TERM": os.environ["TERM"]} if self._is_tty and "TERM" in os.environ else {}
        return {"tty": self._is_tty, "rows": size.lines, "cols": size.columns, "env": kind}

    def poll(self) -> list[dict[str, Any]]:
        """What happened at the keyboard since the last call."""
        messages: list[dict[str, Any]] = []
        if self._resized:
            self._resized = False
            size = shutil.get_terminal_size()
            messages.append({"winsize": [size.lines, size.columns]})
        fd = sys.stdin.fileno()
        while not self._ended and select.select([fd], [], [], 0)[0]:
            data = os.read(fd, 4096)
            if not data:
                self._ended = True
                messages.append({"stdin_eof": True})
            else:
                messages.append({"stdin": base64.b64encode(data).decode()})
        return messages

    def _on_resize(self, number: int, frame: FrameType | None) -> None:
        self._resized = True
