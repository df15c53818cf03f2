# SPDX-License-Identifier: GPL-2.0-only
"""The user's stdout gets every byte, whatever it is, and only explicit waits depend on it."""

from __future__ import annotations

import contextlib
import errno
import os
import pty
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kvm.run.outlet import Outlet

DEADLINE_S = 20.0
TEXT = b"".join(b"%d\n" % number for number in range(100_000))  # more than any pipe holds


class Slow:
    """Reads a descriptor to its end, starting late and in small pieces."""

    def __init__(self, fd: int, wait_s: float = 0.3) -> None:
        self._fd = fd
        self._wait_s = wait_s
        self.read = bytearray()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        time.sleep(self._wait_s)
        with contextlib.suppress(OSError):  # EIO: the end of a terminal
            while data := os.read(self._fd, 3000):
                self.read += data

    def join(self) -> bytes:
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
        return bytes(self.read)


Ends = tuple[int, int]


def _pipe() -> Ends:
    return os.pipe()


def _pipe_that_does_not_block() -> Ends:
    ends = os.pipe()
    os.set_blocking(ends[1], False)
    return ends


def _terminal() -> Ends:
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    return ours, theirs


@pytest.fixture
def ends() -> Iterator[Callable[[Callable[[], Ends]], Ends]]:
    opened: list[int] = []

    def make(kind: Callable[[], Ends]) -> Ends:
        made = kind()
        opened.extend(made)
        return made

    yield make
    for fd in opened:
        with contextlib.suppress(OSError):
            os.close(fd)


Make = Callable[[Callable[[], Ends]], Ends]


@pytest.mark.parametrize("kind", [_pipe, _pipe_that_does_not_block, _terminal])
def test_a_slow_reader_gets_every_byte(ends: Make, kind: Callable[[], Ends]) -> None:
    out, into = ends(kind)
    outlet, reader = Outlet(), Slow(out)
    begun = time.monotonic()
    outlet.write(into, TEXT)
    assert not outlet.wait(len(TEXT) // 2, 0.0)
    assert time.monotonic() - begun < 0.2  # this process does not wait
    assert outlet.wait(1, DEADLINE_S)
    os.close(into)
    assert reader.join() == TEXT


def test_a_file_gets_every_byte_in_the_order_they_came(tmp_path: Path) -> None:
    outlet = Outlet()
    target = tmp_path / "out"
    with target.open("ab", 0) as out, target.open("ab", 0) as also:
        for number in range(500):
            outlet.write((out if number % 2 else also).fileno(), b"%d\n" % number)
        assert outlet.wait(1, DEADLINE_S)
    assert target.read_bytes() == b"".join(b"%d\n" % number for number in range(500))


def test_what_nobody_reads_is_counted_and_forgotten(ends: Make) -> None:
    out, into = ends(_pipe)
    outlet = Outlet()
    outlet.write(into, TEXT)
    lost = outlet.give_up(0.3)
    # The piece being written still goes out when there is room.
    assert len(TEXT) - lost == (1 << 16), lost
    outlet.write(into, b"more")
    os.set_blocking(out, False)
    read = bytearray()
    while not outlet.wait(1, 0.01) or not read.endswith(b"more"):
        with contextlib.suppress(BlockingIOError):
            read += os.read(out, 1 << 16)
    assert bytes(read[: 1 << 16]) == TEXT[: 1 << 16]


def test_a_reader_that_leaves_is_told_of_even_where_it_was_being_waited_for(ends: Make) -> None:
    out, into = ends(_pipe)
    outlet = Outlet()
    outlet.write(into, TEXT)
    assert not outlet.wait(1, 0.1)
    os.close(out)
    with pytest.raises(BrokenPipeError):
        outlet.wait(1, DEADLINE_S)
    outlet.write(into, TEXT)  # is dropped, without waiting
    assert outlet.give_up(DEADLINE_S) > 0


def test_a_full_disk_is_told_of() -> None:
    outlet = Outlet()
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        outlet.write(full, b"text")
        with pytest.raises(OSError) as refused:
            outlet.wait(1, DEADLINE_S)
        assert refused.value.errno == errno.ENOSPC
    finally:
        os.close(full)


def test_the_live_line_is_out_of_the_way_before_each_write(tmp_path: Path) -> None:
    calls: list[int] = []
    outlet = Outlet(before=lambda: calls.append(1))
    with (tmp_path / "out").open("wb", 0) as out:
        outlet.write(out.fileno(), b"a")
        assert outlet.wait(1, DEADLINE_S)
    assert calls
