# SPDX-License-Identifier: GPL-2.0-only
"""The worker's output never blocks by itself, and never grows beyond its mark unnoticed."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator

import pytest

from kvm.vm.events import EventWriter


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError:
            pass  # the test closed it


def test_bytes_become_base64(pipe: tuple[int, int]) -> None:
    writer = EventWriter(pipe[1])
    writer.send("console", data=b"\xff\x00", n=1)
    assert json.loads(os.read(pipe[0], 4096)) == {"event": "console", "data": "/wA=", "n": 1}


def test_an_unread_pipe_fills_the_writer_instead_of_blocking_it(pipe: tuple[int, int]) -> None:
    writer = EventWriter(pipe[1])
    while not writer.full:
        writer.send("console", data=b"x" * 10000)
    assert writer.pending


def test_flush_all_waits_for_the_reader(pipe: tuple[int, int]) -> None:
    writer = EventWriter(pipe[1])
    while not writer.full:
        writer.send("console", data=b"x" * 10000)
    received: list[bytes] = []

    def read() -> None:
        while data := os.read(pipe[0], 65536):
            received.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    writer.flush_all()
    assert not writer.pending
    os.close(pipe[1])
    reader.join(10)
    lines = b"".join(received).splitlines()
    assert all(json.loads(line)["event"] == "console" for line in lines)


def test_a_reader_that_has_gone_is_noticed(pipe: tuple[int, int]) -> None:
    writer = EventWriter(pipe[1])
    os.close(pipe[0])
    writer.send("console", data=b"x")
    assert writer.closed
    writer.send("console", data=b"y")
    assert not writer.pending
