# SPDX-License-Identifier: GPL-2.0-only
"""A reader of the output who is slow is waited for, and is no fault of the guest."""

from __future__ import annotations

import time

import pytest

from kvm.host.base import HostHung
from kvm.verdict.observation import Deadline
from support.session import RESULT, STARTED, Drives, Event, Requests, Script, b64


class Pager:
    """A reader of the output that starts only after so many seconds."""

    def __init__(self, seconds: float, unread: int = 1 << 30) -> None:
        self._end = time.monotonic() + seconds
        self._unread = unread
        self.patience_s: float | None = None

    def wait(self, below: int, timeout_s: float) -> bool:
        left = self._end - time.monotonic()
        if left > 0 and self._unread >= below:
            time.sleep(min(timeout_s, left))
        return time.monotonic() >= self._end or self._unread < below

    def give_up(self, patience_s: float) -> int:
        self.patience_s = patience_s
        return 0 if self.wait(1, 0) else self._unread


OUTPUT: Event = {"event": "stdout", "data": b64(b"line\n")}


def test_a_slow_reader_is_no_silence_of_the_guest(drive: Drives) -> None:
    script, _ = drive(Script(STARTED, OUTPUT, OUTPUT, RESULT), silence_s=0.2, reader=Pager(1.0))
    assert (script.deadline, script.result, script.unread_bytes) == (None, RESULT, 0)
    assert script.reader_s > 0.8


def test_a_guest_that_falls_silent_behind_a_slow_reader_is_a_hang_all_the_same(
    drive: Drives,
) -> None:
    session = Script(STARTED, OUTPUT, 5, on_stop={**RESULT, "stop": "stopped"})
    script, _ = drive(session, silence_s=0.3, reader=Pager(0.6))
    assert script.deadline is Deadline.SILENCE
    assert script.end_s > 0.8


def test_a_kernel_that_dies_before_a_slow_reader_may_say_all_it_has_to_say(
    drive: Drives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kvm.run.drive._GRACE_AFTER_DEATH_S", 0.1)
    panic = {"event": "console", "data": b64(b"[    1.000000] Kernel panic - not syncing: so\n")}
    session = Script(STARTED, panic, OUTPUT, RESULT)
    script, out = drive(session, reader=Pager(0.6))
    assert (session.sent, out, script.result) == ([], b"line\n", RESULT)


def test_no_more_is_taken_from_a_worker_than_its_reader_takes(drive: Drives) -> None:
    """So the guest waits, and this process's memory does not fill up."""
    taken_at: list[float] = []

    def clock() -> None:
        taken_at.append(time.monotonic())

    begun = time.monotonic()
    drive(Script(STARTED, OUTPUT, clock, RESULT), reader=Pager(0.5))
    assert taken_at[0] - begun >= 0.5
    # Less than the limit: the run goes on, and waits only at the end.
    taken_at.clear()
    begun = time.monotonic()
    script, _ = drive(Script(STARTED, OUTPUT, clock, RESULT), reader=Pager(0.5, unread=100))
    assert taken_at[0] - begun < 0.3
    assert script.end_s >= 0.4


@pytest.mark.parametrize("unread", [1 << 30, 100])
def test_the_deadline_goes_on_while_a_reader_is_waited_for(drive: Drives, unread: int) -> None:
    session = Script(STARTED, OUTPUT, RESULT)
    script, _ = drive(session, total_s=0.4, reader=Pager(30.0, unread))
    assert script.deadline is Deadline.TOTAL
    assert (script.result, script.unread_bytes) == (RESULT, unread)
    assert script.end_s < 3


def test_a_machine_is_stopped_by_request_while_a_reader_is_waited_for(drive: Drives) -> None:
    control = Requests({"ask": 7, "what": "stop"})
    script, _ = drive(Script(STARTED, OUTPUT, RESULT), control=control, reader=Pager(30.0))
    assert (script.interrupted, script.end_s < 5) == ("stopped by machine.stop", True)


def test_a_reader_that_left_ends_the_run(drive: Drives) -> None:
    class Gone(Pager):
        def wait(self, below: int, timeout_s: float) -> bool:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        drive(Script(STARTED, OUTPUT, 30), reader=Gone(0.0))


def test_the_output_before_a_host_was_lost_is_waited_for(drive: Drives) -> None:
    def lose() -> None:
        raise HostHung("the lab host hangs")

    reader = Pager(0.5, unread=100)
    begun = time.monotonic()
    with pytest.raises(HostHung):
        drive(Script(STARTED, OUTPUT, lose), reader=reader)
    assert time.monotonic() - begun >= 0.4
    assert reader.patience_s is not None
