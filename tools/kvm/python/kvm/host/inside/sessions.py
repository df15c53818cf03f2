# SPDX-License-Identifier: GPL-2.0-only
"""The agent's record of a worker or a command: its pipes and its end.

Lives in the lab host; only the agent's thread uses it. A session is over when its process has
ended, even if a process that it started still holds the output pipes.
"""

from __future__ import annotations

import os

from kvm.waiting import write_waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

_READ_BYTES = 64 * 1024
_READ_AHEAD_BYTES = 1 << 20


class Session:
    """``request`` is the message that started it.

    ``lines``: its stdout is events, one JSON object a line; otherwise stdout is just bytes.
    ``pid`` is known once it runs; ``in_zygote``: it is, or will be, the zygote's child.
    """

    def __init__(self, request: Any, *, lines: bool) -> None:
        self.request = request
        self.number: int = request["session"]
        self.lines = lines
        self.pid: int | None = None
        self.in_zygote = False
        self.stdin = -1
        self.outputs: dict[int, str] = {}  # descriptor → "stdout" or "stderr"
        self._partial = b""
        self._input = bytearray()

    def make_pipes(self) -> tuple[int, int, int]:
        """Make new pipes; return the child's ends, to be closed once it has them."""
        child_in, self.stdin = os.pipe()
        out, child_out = os.pipe()
        err, child_err = os.pipe()
        os.set_blocking(self.stdin, False)
        for fd, name in ((out, "stdout"), (err, "stderr")):
            os.set_blocking(fd, False)
            self.outputs[fd] = name
        return child_in, child_out, child_err

    @property
    def wants_input(self) -> bool:
        return bool(self._input)

    def write(self, data: bytes) -> None:
        self._input += data
        self.flush()

    def flush(self) -> None:
        try:
            write_waiting(self.stdin, self._input)
        except OSError:  # it does not read any more
            self._input.clear()

    def read(self, fd: int) -> bytes | None:
        """New output of ``fd``; b"" at its end, None if nothing has come yet."""
        try:
            return os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return None

    def close_output(self, fd: int) -> None:
        del self.outputs[fd]
        os.close(fd)

    def take_lines(self, data: bytes) -> list[bytes]:
        *lines, self._partial = (self._partial + data).split(b"\n")
        return [line for line in lines if line.strip()]

    def take_partial(self) -> bytes:
        """The unfinished line of a worker that died in the middle of it."""
        partial, self._partial = self._partial, b""
        return partial

    def close(self) -> None:
        for fd in (self.stdin, *self.outputs):
            if fd >= 0:
                os.close(fd)
        self.stdin = -1
        self.outputs.clear()


def spawn(
    argv: list[str], environment: Mapping[str, str], cwd: str, descriptors: Sequence[int]
) -> int:
    """Start a command in its own session, with these descriptors as 0, 1, 2; return its pid."""
    pid = os.fork()
    if pid == 0:
        _become(argv, environment, cwd, descriptors)
    return pid


def run(argv: list[str]) -> None:
    """Run a program to its end; its words go to the console. Raises ``OSError`` if it fails."""
    pid = os.posix_spawn(argv[0], argv, os.environ)
    if status := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise OSError(f"{argv[0]} {argv[1]} ended with {status}; its console says why")


def read_ahead(paths: list[str]) -> None:
    """Read files into this kernel's page cache, in a child; unreadable ones are left to others."""
    if not paths or os.fork() != 0:
        return
    for path in paths:
        try:
            fd = os.open(path, os.O_RDONLY)
            while os.read(fd, _READ_AHEAD_BYTES):
                pass
        except OSError:
            pass
    os._exit(0)


def _become(
    argv: list[str], environment: Mapping[str, str], cwd: str, descriptors: Sequence[int]
) -> NoReturn:
    """Exec the command; every other descriptor closes by itself then (PEP 446)."""
    code = 126
    try:
        os.setsid()
        for number, fd in enumerate(descriptors):
            os.dup2(fd, number)
        os.chdir(cwd)
        os.execvpe(argv[0], argv, environment)
    except FileNotFoundError as missing:
        code = 127
        os.write(2, f"{missing.filename or argv[0]}: not found in the lab host\n".encode())
    except BaseException as failed:
        os.write(2, f"{argv[0]}: {failed}\n".encode())
    finally:
        os._exit(code)
