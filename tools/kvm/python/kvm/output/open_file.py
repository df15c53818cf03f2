# SPDX-License-Identifier: GPL-2.0-only
"""A file of the user that is opened early and written once, late, whatever kind it is.

It is written through its own name, not replaced by a new file: a device, a FIFO, a symbolic link, a
mounted file or one with a second name stays what it is.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from pathlib import Path
from types import TracebackType

# How long to wait for the reader of a FIFO when there is something to write.
READER_S = 10.0
_DESCRIPTORS = re.compile(r"/proc/([0-9]+)(/task/[0-9]+)?/fd")
_LINKS = 40
_FLAGS = os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY


class OpenFile:
    """Raises ``OSError`` if it can't be opened; makes its folder."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._is_new = False
        self._is_whole = False  # it contains nothing but our output
        self._fd = self._opened()

    def write(self, data: bytes) -> None:
        """Write it all. Raises ``OSError``, and then removes what it began in a regular file."""
        if self._fd < 0:
            self._fd = self._with_reader()
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError:
            if self._is_whole and stat.S_ISREG(os.fstat(self._fd).st_mode):
                os.ftruncate(self._fd, 0)
            raise

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove a file that was created but not written."""
        if self._fd < 0:
            return
        made_for_nothing = self._is_new and os.fstat(self._fd).st_size == 0
        os.close(self._fd)
        if made_for_nothing:
            Path(self.name).unlink(missing_ok=True)

    def _opened(self) -> int:
        """A descriptor; -1 for a FIFO that has no reader yet."""
        own = descriptor(self.name)
        if own is not None:
            return os.dup(own)
        path = Path(self.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._is_new = not path.exists() and not path.is_symlink()
        try:
            # Without waiting for a FIFO's reader.
            fd = os.open(path, _FLAGS | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o666)
        except OSError as error:
            if error.errno == errno.ENXIO and path.is_fifo():
                return -1
            raise
        os.set_blocking(fd, True)
        self._is_whole = True
        return fd

    def _with_reader(self) -> int:
        deadline = time.monotonic() + READER_S
        while True:
            try:
                fd = os.open(self.name, _FLAGS | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
                continue
            os.set_blocking(fd, True)
            return fd


def descriptor(name: str) -> int | None:
    """The number that ``/dev/stdout``, ``/dev/fd/63`` and the like stand for; None for others.

    Such a file is not opened a second time: a regular one would be written from its beginning,
    over its earlier content.
    """
    path = Path(name)
    for _ in range(_LINKS):
        here = path.parent.resolve()
        if owner := _DESCRIPTORS.fullmatch(str(here)):
            is_ours = path.name.isdecimal() and int(owner[1]) == os.getpid()
            return int(path.name) if is_ours else None
        if not path.is_symlink():
            return None
        path = here / path.readlink()
    return None
