# SPDX-License-Identifier: GPL-2.0-only
"""kvm.host.inside.sessions: the input and output of a running worker or command."""

from __future__ import annotations

import os
import threading
import time

from kvm.host.inside.sessions import Session

MESSAGES, BYTES = 8000, 5500


def test_input_that_waits_for_a_slow_reader_is_not_copied_again_and_again() -> None:
    """The agent has one thread: while it copies, it answers no client."""
    session = Session({"session": 1}, lines=True)
    ends = session.make_pipes()
    begun = time.monotonic()
    for number in range(MESSAGES):
        session.write(b"%d " % (number % 10) * (BYTES // 2))
        assert time.monotonic() - begun < 5, f"{number} messages"
    got = bytearray()

    def read() -> None:
        while len(got) < MESSAGES * BYTES:
            got.extend(os.read(ends[0], 1 << 16))

    reader = threading.Thread(target=read)
    reader.start()
    while session.wants_input and time.monotonic() - begun < 10:
        session.flush()
    session.close()
    reader.join(20)
    for fd in ends:
        os.close(fd)
    assert bytes(got) == b"".join(b"%d " % (n % 10) * (BYTES // 2) for n in range(MESSAGES))


def test_input_of_one_that_has_ended_goes_nowhere() -> None:
    session = Session({"session": 1}, lines=True)
    for fd in session.make_pipes():
        os.close(fd)
    session.write(b"words")
    assert not session.wants_input
    session.close()
