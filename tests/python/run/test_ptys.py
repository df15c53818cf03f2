# SPDX-License-Identifier: GPL-2.0-only
"""The user's terminals: bytes both ways, and no trouble if no program has one open."""

from __future__ import annotations

import base64
import os
import select
import termios
import time

import pytest

from kvm.errors import UserError
from kvm.run.ptys import Ptys
from kvm.spec.machine import parse_tty
from support.asked import boot_options


def _typed(ptys: Ptys) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for message in ptys.poll():
        found[message["tty"]] = base64.b64decode(message["data"])
    return found


def _wait_for(ptys: Ptys) -> dict[int, bytes]:
    end = time.monotonic() + 10
    while not (found := _typed(ptys)):
        assert time.monotonic() < end
    return found


def _read(user: int, size: int) -> bytes:
    data = b""
    while len(data) < size and select.select([user], [], [], 10)[0]:
        data += os.read(user, size - len(data))
    return data


def test_bytes_go_both_ways_as_they_are() -> None:
    with Ptys((0, 3)) as ptys:
        assert set(ptys.paths) == {0, 3}
        user = os.open(ptys.paths[3], os.O_RDWR | os.O_NOCTTY)
        every = bytes(range(256))
        os.write(user, every)
        assert _wait_for(ptys) == {3: every}
        ptys.take(3, every)
        assert _read(user, 256) == every
        os.close(user)


def test_what_nobody_has_open_is_lost_and_the_next_who_opens_it_starts_anew() -> None:
    with Ptys((2,)) as ptys:
        for _ in range(1000):
            ptys.take(2, bytes(4096))
        assert ptys.poll() == []
        for word in (b"first", b"second"):
            user = os.open(ptys.paths[2], os.O_RDWR | os.O_NOCTTY)
            ptys.take(2, word)
            assert _read(user, len(word)) == word
            assert not termios.tcgetattr(user)[3] & termios.ECHO
            os.close(user)
            assert ptys.poll() == []


def test_who_does_not_read_blocks_nobody() -> None:
    with Ptys((2,)) as ptys:
        user = os.open(ptys.paths[2], os.O_RDWR | os.O_NOCTTY)
        for _ in range(1000):
            ptys.take(2, b"x" * 4096)
        os.write(user, b"still heard")
        assert _wait_for(ptys) == {2: b"still heard"}
        os.close(user)


def test_they_are_gone_at_the_end() -> None:
    with Ptys((0,)) as ptys:
        path = ptys.paths[0]
    ptys.take(0, b"late")
    assert ptys.poll() == []
    with pytest.raises(OSError, match=r"No such file|Input/output"):
        os.open(path, os.O_RDWR | os.O_NOCTTY)


@pytest.mark.parametrize(("given", "words"), [("x", "'x'"), ("-1", "'-1'")])
def test_what_is_no_number_is_refused(given: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse_tty(given)


@pytest.mark.parametrize("ttys", [(1,), (4,), (2, 2)])
def test_lines_that_there_are_not_are_refused(ttys: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="use 0, 2 and 3"):
        boot_options(ttys=ttys).check()
    assert "--tty=3" in boot_options(ttys=(0, 3)).check().arguments()
