# SPDX-License-Identifier: GPL-2.0-only
"""A command in a guest gets the caller's input, complete and with its end."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from kvm.run.terminal import Terminal


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[IO[bytes]]:
    """The writing end of the current standard input."""
    read, write = os.pipe()
    with open(read) as stdin, open(write, "wb", buffering=0) as writer:  # noqa: PTH123
        monkeypatch.setattr("sys.stdin", stdin)
        yield writer


def test_piped_input_and_its_end_are_forwarded(pipe: IO[bytes]) -> None:
    with Terminal(shell=False) as terminal:
        assert terminal.poll() == []
        pipe.write(b"some words")
        assert terminal.poll() == [{"stdin": base64.b64encode(b"some words").decode()}]
        pipe.close()
        assert terminal.poll() == [{"stdin_eof": True}]
        assert terminal.poll() == []


def test_without_an_input_its_end_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with Terminal(shell=False) as terminal:
        assert terminal.poll() == [{"stdin_eof": True}]


def test_an_input_that_is_not_the_guests_is_left_to_others(pipe: IO[bytes]) -> None:
    pipe.write(b"the next line of a loop")
    with Terminal(shell=False, stdin=False) as terminal:
        assert terminal.poll() == [{"stdin_eof": True}]
    assert os.read(sys.stdin.fileno(), 99) == b"the next line of a loop"


def test_what_the_guest_has_not_read_of_a_file_is_left_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "list"
    source.write_bytes(b"first\nsecond\nthird\n")
    with source.open() as stdin:
        os.lseek(stdin.fileno(), 6, os.SEEK_SET)  # the shell of a loop has read a line
        monkeypatch.setattr("sys.stdin", stdin)
        with Terminal(shell=False) as terminal:
            assert terminal.poll()[-1] == {"stdin_eof": True}
            terminal.give_back(7)
        assert os.read(stdin.fileno(), 99) == b"third\n"


def test_a_pipe_can_not_be_given_anything_back(pipe: IO[bytes]) -> None:
    pipe.write(b"words")
    with Terminal(shell=False) as terminal:
        assert terminal.poll()
        terminal.give_back(0)


def test_a_pipe_is_no_terminal_to_a_shell_either(pipe: IO[bytes]) -> None:
    with Terminal(shell=True) as terminal:
        assert terminal.request()["tty"] is False
