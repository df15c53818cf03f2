# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import socket

import pytest

from kvm.waiting import write_waiting

SIZE = 4 << 20


def test_a_slow_reader_loses_nothing() -> None:
    waiting = bytearray(range(256)) * (SIZE // 256)
    sent = bytes(waiting)
    got = bytearray()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        write_waiting(ours.fileno(), waiting)
        assert 0 < len(waiting) < SIZE
        while len(got) < SIZE:
            got += theirs.recv(SIZE)
            write_waiting(ours.fileno(), waiting)
    assert (bytes(got), bytes(waiting)) == (sent, b"")


def test_a_reader_that_has_gone_is_an_error() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.close()
        with pytest.raises(BrokenPipeError):
            write_waiting(ours.fileno(), bytearray(b"to nobody"))
