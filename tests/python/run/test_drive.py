# SPDX-License-Identifier: GPL-2.0-only
"""A session is followed to its end, and every wait in it has a deadline."""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kvm.host.base import HostHung
from kvm.host.given import GivenClock
from kvm.run.drive import Control, Limits, Reader, SessionDriver, Sinks, Transcript
from kvm.verdict.observation import Deadline

Event = dict[str, Any]


def _drop(said: object) -> None:
    """A sink whose data is not looked at."""


STARTED: Event = {"event": "started"}
HELLO: Event = {"event": "hello", "info": {"release": "6.12", "cpus": "1"}}
RESULT: Event = {"event": "result", "stop": "reset"}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Script:
    """Plays events; a number is a pause in seconds, a callable is called.

    A stop is answered with ``on_stop``; None leaves the worker stuck.
    """

    def __init__(
        self, *steps: Any, on_stop: Event | None = None, kept: Callable[[], float] = lambda: 0.0
    ) -> None:
        self.steps = list(steps)
        self.on_stop = on_stop
        self.sent: list[Event] = []
        self.killed = False
        self.exit_status: int | None = None
        self.stderr_tail = ""
        self.clock = GivenClock(kept)

    def events(self, timeout_s: float = 0.2) -> Iterator[Event | None]:
        while self.steps:
            step = self.steps.pop(0)
            if callable(step):
                step()
                continue
            if isinstance(step, dict):
                yield step
                continue
            end = time.monotonic() + step
            while time.monotonic() < end and not self._stopped() and not self.killed:
                time.sleep(0.01)
                yield None
            if self.killed:
                return
            if self._stopped() and self.on_stop is not None:
                yield self.on_stop
                return

    def send(self, message: Event) -> None:
        self.sent.append(message)

    def kill(self) -> None:
        self.killed = True

    def _stopped(self) -> bool:
        return self.on_stop is not None and any("stop" in message for message in self.sent)


@pytest.fixture
def drive(tmp_path: Path) -> Callable[..., tuple[Transcript, bytes]]:
    def run(
        session: Script,
        silence_s: float = 5.0,
        total_s: float = 20.0,
        control: Control | None = None,
        bounded: bool = False,
        reader: Reader | None = None,
    ) -> tuple[Transcript, bytes]:
        out = bytearray()
        sinks = Sinks(
            tmp_path / "console.log",
            out.extend,
            out.extend,
            lambda text: None,
            control=control,
            reader=reader,
        )
        return SessionDriver(session, sinks, Limits(silence_s, total_s, bounded)).run(), bytes(out)

    return run


Drives = Callable[..., tuple[Transcript, bytes]]


def test_a_whole_session_is_recorded(drive: Drives, tmp_path: Path) -> None:
    console = {"event": "console", "data": b64(b"[    0.000000] Linux\n")}
    stdout = {"event": "stdout", "data": b64(b"hello\n")}
    read = {"event": "stdin_read", "bytes": 12}
    leave = {"event": "exit", "code": 3, "signal": 0}
    script, out = drive(Script(STARTED, console, HELLO, stdout, read, leave, RESULT))
    assert script.stdin_read == 12
    assert (script.exit_code, script.hello, out) == (3, HELLO["info"], b"hello\n")
    assert script.result == RESULT
    assert script.started_s is not None and script.hello_s is not None
    assert (tmp_path / "console.log").read_bytes() == b"[    0.000000] Linux\n"


def test_silence_stops_the_machine_and_says_which_deadline(drive: Drives) -> None:
    session = Script(STARTED, 5, on_stop={**RESULT, "stop": "stopped"})
    script, _ = drive(session, silence_s=0.2)
    assert (script.deadline, script.deadline_s) == (Deadline.SILENCE, 0.2)
    assert script.result is not None and script.result["stop"] == "stopped"
    assert "silence" in session.sent[0]["stop"]


def _never_run() -> float:
    """The machine did not get any time."""
    return math.inf


def test_the_silence_of_a_machine_that_is_not_run_is_waited_out(drive: Drives) -> None:
    session = Script(STARTED, 0.6, RESULT, kept=_never_run)
    script, _ = drive(session, silence_s=0.2)
    assert (script.deadline, script.result) == (None, RESULT)
    assert script.kept_s > 0.2


def test_a_machine_that_is_never_run_is_given_up_and_not_blamed(
    drive: Drives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kvm.host.given._MOST_S", 0.5)
    script, _ = drive(Script(STARTED, 5, on_stop=RESULT, kept=_never_run), silence_s=0.1)
    assert script.deadline is Deadline.UNRUN
    assert script.deadline_s >= 0.5


@pytest.mark.parametrize("interrupted", [True, False])
def test_a_machine_that_is_not_run_is_not_waited_for_once_it_was_given_up(
    drive: Drives, monkeypatch: pytest.MonkeyPatch, interrupted: bool
) -> None:
    class Stopped(Script):
        """A session whose worker takes no message and can't be killed."""

        def kill(self) -> None: ...

    def interrupt() -> None:
        if interrupted:
            raise KeyboardInterrupt

    for name in ("_RESULT_WAIT_S", "_END_WAIT_S"):
        monkeypatch.setattr(f"kvm.run.drive.{name}", 0.2)
    monkeypatch.setattr("kvm.host.given._MOST_S", 1.5)
    script, _ = drive(Stopped(STARTED, interrupt, 30, kept=_never_run), silence_s=0.1)
    assert script.overdue
    assert script.end_s < (1.0 if interrupted else 2.5)


def test_a_machine_that_was_run_again_has_its_time_from_then_on(drive: Drives) -> None:
    begun = time.monotonic()
    session = Script(
        STARTED, 5, on_stop=RESULT, kept=lambda: math.inf if time.monotonic() < begun + 0.5 else 0
    )
    script, _ = drive(session, silence_s=0.3)
    assert script.deadline is Deadline.SILENCE
    assert script.end_s >= 0.75


def test_a_reader_who_is_slow_is_no_silence(tmp_path: Path) -> None:
    """The guest's output meanwhile is not read yet."""
    stdout = {"event": "stdout", "data": b64(b"a line\n")}
    session = Script(STARTED, HELLO, stdout, 0.3, RESULT)
    sinks = Sinks(tmp_path / "log", lambda data: time.sleep(1.5), _drop, _drop)
    script = SessionDriver(session, sinks, Limits(1.0, 20.0)).run()
    assert (script.deadline, script.result) == (None, RESULT)


def test_before_it_starts_a_machine_waits_for_its_host(drive: Drives) -> None:
    script, _ = drive(Script(0.3, STARTED, RESULT), silence_s=0.2)
    assert script.deadline is None
    never, _ = drive(Script(5, on_stop=RESULT), silence_s=0.1)
    assert never.deadline is Deadline.SILENCE


def test_the_limit_of_a_user_is_the_walls_and_a_tests_own_is_the_machines(
    drive: Drives, monkeypatch: pytest.MonkeyPatch
) -> None:
    def play(*, bounded: bool, seconds: float) -> Deadline | None:
        session = Script(STARTED, seconds, RESULT, on_stop=RESULT, kept=_never_run)
        return drive(session, total_s=0.2, bounded=bounded)[0].deadline

    assert play(bounded=False, seconds=0.5) is Deadline.TOTAL
    assert play(bounded=True, seconds=0.5) is None
    monkeypatch.setattr("kvm.host.given._MOST_S", 0.5)
    assert play(bounded=True, seconds=5) is Deadline.UNRUN
    session = Script(STARTED, 5, on_stop=RESULT)
    assert drive(session, total_s=0.2, bounded=True)[0].deadline is Deadline.TOTAL


def test_a_tests_own_limit_begins_with_the_machine(drive: Drives) -> None:
    late, _ = drive(Script(0.3, STARTED, 0.1, RESULT), total_s=0.2, bounded=True)
    assert late.deadline is None
    long, _ = drive(Script(0.1, STARTED, 5, on_stop=RESULT), total_s=0.2, bounded=True)
    assert long.deadline is Deadline.TOTAL
    # What never starts is not slow: its host hangs, by the silence.
    never = Script(5, on_stop=RESULT)
    script, _ = drive(never, silence_s=0.1, total_s=0.2, bounded=True)
    assert script.deadline is Deadline.SILENCE
    users, _ = drive(Script(5, on_stop=RESULT), silence_s=0.1, total_s=0.2)
    assert users.deadline is Deadline.TOTAL


def test_no_more_input_is_on_its_way_than_the_worker_takes(tmp_path: Path) -> None:
    chunk = {"stdin": b64(bytes(60))}
    asked: list[int] = []

    def source() -> list[Event]:
        asked.append(1)
        return [chunk]

    def play(*steps: Any, window: dict[str, Any]) -> int:
        session = Script({**STARTED, **window}, HELLO, *steps, RESULT)
        sinks = Sinks(tmp_path / "log", _drop, _drop, _drop, input=source)
        SessionDriver(session, sinks, Limits(5.0, 20.0)).run()
        return session.sent.count(chunk)

    taken = {"event": "stdin_taken", "bytes": 60}
    ticks = [0.05] * 5
    assert play(*ticks, window={"stdin_window": 100}) == 2
    assert play(*ticks, taken, *ticks, window={"stdin_window": 100}) == 3
    # A worker of an older commit reports nothing, and gets all input at once.
    assert play(*ticks, window={}) > 3


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


def test_heartbeats_are_signs_of_life(drive: Drives) -> None:
    beat = {"event": "heartbeat"}
    script, _ = drive(Script(STARTED, 0.15, beat, 0.15, beat, 0.15, RESULT), silence_s=0.25)
    assert script.deadline is None


def test_a_users_script_has_a_deadline_of_its_own(drive: Drives) -> None:
    script: Event = {"event": "script", "program": "/up", "limit_s": 10.0}
    slow, _ = drive(Script(script, 0.3, STARTED, script, 0.3, RESULT), silence_s=0.1)
    assert (slow.deadline, slow.result) == (None, RESULT)
    silent, _ = drive(Script(script, 0.3, STARTED, 5, on_stop=RESULT), silence_s=0.1)
    assert silent.deadline is Deadline.SILENCE
    endless, _ = drive(Script({**script, "limit_s": 0.2}, 5, on_stop=RESULT), silence_s=0.1)
    assert endless.deadline is Deadline.SILENCE


def test_deadlines_stand_still_in_a_pause(drive: Drives) -> None:
    pause, resume = ({"event": "paused", "paused": paused} for paused in (True, False))
    script, _ = drive(Script(STARTED, pause, 0.4, resume, 0.05, RESULT), silence_s=0.2, total_s=0.3)
    assert (script.deadline, script.result) == (None, RESULT)
    silent, _ = drive(Script(STARTED, pause, 0.4, resume, 5, on_stop=RESULT), silence_s=0.2)
    assert silent.deadline is Deadline.SILENCE


class Requests:
    """Requests of others, all there from the start."""

    def __init__(self, *requests: Event) -> None:
        self.requests = list(requests)
        self.taken: list[Any] = []
        self.answers: list[Any] = []

    def poll(self) -> list[Event]:
        found, self.requests = self.requests, []
        return found

    def take(self, event: Any) -> None:
        self.taken.append(event)

    def answer(self, number: Any, answer: Event) -> None:
        self.answers.append((number, answer))


def test_requests_go_to_the_worker_and_its_answers_back(drive: Drives) -> None:
    asked = {"ask": 1, "what": "stat"}
    answer = {"event": "answer", "ask": 1}
    session, control = Script(STARTED, 0.1, answer, 0.1, RESULT), Requests(asked)
    script, _ = drive(session, control=control)
    assert (session.sent, control.taken, script.result) == ([asked], [answer], RESULT)


def test_a_machine_is_stopped_by_request_even_in_a_pause(drive: Drives) -> None:
    pause = {"event": "paused", "paused": True}
    control = Requests({"ask": 7, "what": "stop"})
    script, _ = drive(Script(STARTED, pause, 5, on_stop=RESULT), control=control)
    assert script.interrupted == "stopped by machine.stop"
    assert (control.answers, script.result) == ([(7, {})], RESULT)


def test_the_total_deadline_ends_even_a_talkative_guest(drive: Drives) -> None:
    beats = [step for _ in range(100) for step in ({"event": "heartbeat"}, 0.05)]
    script, _ = drive(Script(STARTED, *beats, on_stop=RESULT), total_s=0.3)
    assert script.deadline is Deadline.TOTAL


def test_a_worker_that_ignores_a_stop_is_killed(
    drive: Drives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kvm.run.drive._RESULT_WAIT_S", 0.2)
    session = Script(STARTED, 30)
    script, _ = drive(session, silence_s=0.1)
    assert session.killed
    assert script.result is None
    assert (script.deadline, script.overdue) == (Deadline.SILENCE, True)


def test_a_worker_is_seen_to_end_once_it_is_killed(
    drive: Drives, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stuck(Script):
        """Its host finds out after a while that it can't be ended."""

        def events(self, timeout_s: float = 0.2) -> Iterator[Event | None]:
            yield STARTED
            while not self.killed:
                yield None
            yield None
            raise HostHung("the lab host hangs")

    monkeypatch.setattr("kvm.run.drive._RESULT_WAIT_S", 0.1)
    with pytest.raises(HostHung):
        drive(Stuck(), silence_s=0.1)


def test_a_worker_that_never_ends_is_not_waited_for(
    drive: Drives, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Immortal(Script):
        def kill(self) -> None:
            assert not self.exit_status

    monkeypatch.setattr("kvm.run.drive._RESULT_WAIT_S", 0.1)
    monkeypatch.setattr("kvm.run.drive._END_WAIT_S", 0.2)
    script, _ = drive(Immortal(STARTED, 30), silence_s=0.1)
    assert script.overdue


def test_a_panic_without_a_reset_is_not_waited_for(
    drive: Drives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kvm.run.drive._GRACE_AFTER_DEATH_S", 0.1)
    panic = b"[    1.000000] Kernel panic - not syncing: at the disco\n"
    session = Script(STARTED, {"event": "console", "data": b64(panic)}, 10, on_stop=RESULT)
    start = time.monotonic()
    script, _ = drive(session)
    assert time.monotonic() - start < 3
    assert script.deadline is None
    assert script.console.dying


def test_ctrl_c_stops_the_machine_and_is_recorded(drive: Drives) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    session = Script(STARTED, interrupt, 5, on_stop=RESULT)
    script, _ = drive(session)
    assert script.interrupted
    assert session.sent == [{"stop": "interrupted"}]


def test_a_setup_error_ends_the_session(drive: Drives) -> None:
    script, _ = drive(Script({"event": "error", "kind": "load", "message": "too small"}))
    assert script.worker_error is not None
    assert script.worker_error.kind == "load"


def test_a_flooding_console_is_kept_up_to_its_limit_and_counted(
    drive: Drives,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kvm.run.drive.CONSOLE_LIMIT_BYTES", 100)
    flood: Event = {"event": "console", "data": b64(b"x" * 70)}
    script, _ = drive(Script(STARTED, flood, flood, flood, RESULT))
    assert script.console_dropped_bytes == 110
    assert sum(len(path.read_bytes()) for path in tmp_path.glob("*console*")) == 100


def test_what_is_no_longer_kept_is_still_read(
    drive: Drives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kvm.run.drive.CONSOLE_LIMIT_BYTES", 100)
    flood: Event = {"event": "console", "data": b64(b"x" * 70 + b"\n")}
    oops: Event = {"event": "console", "data": b64(b"[    1.000000] kernel BUG at a.c:1!\n")}
    warning: Event = {
        "event": "console",
        "data": b64(b"[    2.000000] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n"),
    }
    script, _ = drive(Script(STARTED, flood, flood, oops, warning, RESULT))
    assert [finding.kind.value for finding in script.console.findings] == ["bug", "warning"]
