# SPDX-License-Identifier: GPL-2.0-only
"""A session is followed to its end, and every wait in it has a deadline."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kvm.host.base import HostHung
from kvm.run.drive import Limits, SessionDriver, Sinks
from kvm.verdict.observation import Deadline
from support.session import HELLO, RESULT, STARTED, Drives, Event, Requests, Script, b64


def _drop(said: object) -> None:
    """A sink whose data is not looked at."""


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
