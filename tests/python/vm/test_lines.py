# SPDX-License-Identifier: GPL-2.0-only
"""The worker's input is cut at line ends, wherever the reads end."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kvm.vm.lines import LineReader


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError:
            pass  # the test closed it


def test_the_first_line_leaves_the_others(pipe: tuple[int, int]) -> None:
    reader = LineReader(pipe[0])
    os.write(pipe[1], b"one\ntwo\nthr")
    assert reader.first() == b"one"
    assert reader.take() == [b"two"]
    os.write(pipe[1], b"ee\n\n")
    assert reader.fill()
    assert reader.take() == [b"three"]


def test_the_end_of_the_input(pipe: tuple[int, int]) -> None:
    reader = LineReader(pipe[0])
    os.write(pipe[1], b"unfinished")
    os.close(pipe[1])
    assert reader.first() is None
    assert not reader.fill()
