# SPDX-License-Identifier: GPL-2.0-only
"""Passes standard input to the guest: a raw terminal for a shell, a pipe or file for a command.

The terminal is always restored. Without a shell a terminal is left alone, as is any input that
the guest is not to have; the command then sees end of file at once.
"""

from __future__ import annotations

import base64
import os
import select
import shutil
import signal
import stat
import sys
import termios
import tty
from types import FrameType, TracebackType
from typing import Any

# An endless input must leave room for the rest of the session.
_READS_A_POLL = 64


class Terminal:
    """Forwards input and, for a shell on a terminal, window sizes."""

    def __init__(self, *, shell: bool, stdin: bool = True) -> None:
        self._fd = _standard_input() if stdin else None
        on_terminal = self._fd is not None and os.isatty(self._fd)
        self._is_tty = shell and on_terminal
        if on_terminal and not shell:
            self._fd = None
        # The file's offset: what the guest has not read is left to the next reader.
        self._start = _place_in_file(self._fd)
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
        """Input and window sizes since the last call."""
        messages: list[dict[str, Any]] = []
        if self._resized:
            self._resized = False
            size = shutil.get_terminal_size()
            messages.append({"winsize": [size.lines, size.columns]})
        for _ in range(_READS_A_POLL):
            if self._ended or not self._readable():
                break
            data = b"" if self._fd is None else os.read(self._fd, 4096)
            if not data:
                self._ended = True
                messages.append({"stdin_eof": True})
            else:
                messages.append({"stdin": base64.b64encode(data).decode()})
        return messages

    def give_back(self, read: int) -> None:
        """Leave a file's offset behind the bytes that were read, for others that share it."""
        if self._fd is not None and self._start is not None:
            os.lseek(self._fd, self._start + read, os.SEEK_SET)

    def _readable(self) -> bool:
        return self._fd is None or bool(select.select([self._fd], [], [], 0)[0])

    def _on_resize(self, number: int, frame: FrameType | None) -> None:
        self._resized = True


def _place_in_file(fd: int | None) -> int | None:
    if fd is None or not stat.S_ISREG(os.fstat(fd).st_mode):
        return None
    return os.lseek(fd, 0, os.SEEK_CUR)


def _standard_input() -> int | None:
    """The descriptor of standard input; None if this process has none (in a test, say)."""
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return None
