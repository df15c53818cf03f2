# SPDX-License-Identifier: GPL-2.0-only
"""A file of the user's that is opened early and written once, late, whatever kind it is.

Through its name, never beside it: a device, a FIFO, a symbolic link, a file that somebody mounted
or that has a second name stays what it is.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from pathlib import Path
from types import TracebackType

# How long a FIFO may lack a reader when there is something to read.
READER_S = 10.0
_DESCRIPTORS = re.compile(r"/proc/([0-9]+)(/task/[0-9]+)?/fd")
_LINKS = 40
_FLAGS = os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY


class OpenFile:
    """Raises ``OSError`` where it cannot be opened; its folder is made."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._is_new = False
        self._is_whole = False  # nobody else's words are in it
        self._fd = self._opened()

    def write(self, data: bytes) -> None:
        """All of it. Raises ``OSError``; what was begun in a regular file is taken back then."""
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
        """A file that was made for nothing is removed."""
        if self._fd < 0:
            return
        made_for_nothing = self._is_new and os.fstat(self._fd).st_size == 0
        os.close(self._fd)
        if made_for_nothing:
            Path(self.name).unlink(missing_ok=True)

    def _opened(self) -> int:
        """-1 for a FIFO that nobody reads yet."""
        own = descriptor(self.name)
        if own is not None:
            return os.dup(own)
        path = Path(self.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._is_new = not path.exists() and not path.is_symlink()
        try:
            # Without waiting for the reader of a FIFO.
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
    """The number that ``/dev/stdout``, ``/dev/fd/63`` and the like stand for.

    Such a file is not opened a second time: a regular one would be written from its beginning,
    over what went there before.
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
