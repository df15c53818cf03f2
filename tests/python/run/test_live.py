# SPDX-License-Identifier: GPL-2.0-only
"""A guest's commands pass between two threads; whatever ends the machine ends each wait."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kvm.errors import UserError
from kvm.run import live
from kvm.run.drive import Limits, SessionDriver, Sinks
from kvm.run.live import Commands, CommandTimeout, LiveGuest, MachineEnded
from kvm.run.record import RunRecord
from kvm.verdict.observation import Deadline
from kvm.verdict.vocabulary import Evidence, Outcome, Reason, Verdict
from support.session import HELLO, RESULT, STARTED, Script

PASSED = RunRecord(outcome=Outcome(Verdict.PASS, Reason.OK, ""), host="lab", exit_code=0)
DIED = RunRecord(
    outcome=Outcome(
        Verdict.FAIL, Reason.KERNEL_PANIC, "it died", (Evidence("console", ("Oops: 1",)),)
    ),
    host="lab",
    exit_code=1,
)


class Guest:
    """Answers commands as a guest would: ``cat`` gives its input back, others as scripted."""

    def __init__(self, commands: Commands, *, dies_at: str = "", hangs_at: str = "") -> None:
        self.commands = commands
        self.dies_at, self.hangs_at = dies_at, hangs_at
        self.messages: list[dict[str, Any]] = []
        self.ended = threading.Event()
        self.input = b""
        self.asked: list[str] = []
        self.answer: dict[str, Any] = {}

    def send(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        if "run" in message:
            self.argv = message["run"]["argv"]
            self.input = b""
            if self.argv[-1] == self.dies_at:
                self.ended.set()
        elif "stdin" in message:
            self.input += base64.b64decode(message["stdin"])
        elif "stdin_eof" in message and self.argv[-1] not in (self.dies_at, self.hangs_at):
            self.commands.streams.stdout(self.input)
            self.commands.streams.stderr(b"err")
            self.commands.exited(len(self.input) % 256, 0)
        elif "ask" in message:
            self.asked.append(message["what"])
            self.commands.answered({"ask": message["ask"], **self.answer})
        elif "signal" in message:
            self.commands.exited(137, message["signal"])
        elif "poweroff" in message or "stop" in message:
            self.ended.set()


def boots(record: RunRecord, **ways: str) -> Callable[[Commands], RunRecord]:
    def boot(commands: Commands) -> RunRecord:
        guest = Guest(commands, **ways)
        commands.started(guest)  # type: ignore[arg-type]
        commands.ready()
        assert guest.ended.wait(20)
        return record

    return boot


def test_commands_run_one_after_another_with_streams_of_their_own() -> None:
    guest = LiveGuest(boots(PASSED))
    for data in (b"", b"abc", bytes(300_000)):
        done = guest.run(["cat"], stdin=data)
        assert (done.stdout.encode(), done.stderr, done.code) == (data, "err", len(data) % 256)
    assert guest.end() is PASSED


def test_a_line_of_shell_is_given_to_a_shell() -> None:
    seen: list[Guest] = []

    def boot(commands: Commands) -> RunRecord:
        seen.append(Guest(commands))
        commands.started(seen[0])  # type: ignore[arg-type]
        commands.ready()
        assert seen[0].ended.wait(20)
        return PASSED

    guest = LiveGuest(boot)
    guest.run("a | b", env={"K": "v"})
    guest.end()
    run = {"argv": ["sh", "-c", "a | b"], "env": {"K": "v"}, "stay": True}
    assert seen[0].messages[0] == {"run": run}


def test_a_command_that_takes_too_long_is_killed_and_the_machine_goes_on() -> None:
    guest = LiveGuest(boots(PASSED, hangs_at="slow"))
    with pytest.raises(CommandTimeout, match=r"`slow` took longer than 0\.1 s") as late:
        guest.run(["slow"], timeout_s=0.1)
    assert late.value.done.signal == 9
    assert guest.run(["cat"], stdin="x").stdout == "x"
    assert guest.end() is PASSED


class Rewound:
    """A guest whose machine has a checkpoint, and whose host has a console."""

    console = "booted"

    def __init__(self) -> None:
        self.guests: list[Guest] = []
        self.live = LiveGuest(self._boot)
        (self.guest,) = self.guests
        assert self.live.checkpoint() == ""

    def _boot(self, commands: Commands) -> RunRecord:
        self.guests.append(Guest(commands))
        commands.hosted(self)  # type: ignore[arg-type]
        commands.started(self.guests[0])  # type: ignore[arg-type]
        commands.spoke(b"WARNING: CPU: 0 PID: 1 at x.c:1 f+0x1/0x2\n")  # before the checkpoint
        commands.ready()
        assert self.guests[0].ended.wait(20)
        return PASSED


def test_a_quiet_machine_is_put_back_with_new_random_numbers() -> None:
    rewound = Rewound()
    seen = set()
    for _ in range(2):
        assert rewound.live.run(["cat"], stdin="x").stdout == "x"
        rewound.guest.commands.spoke(b"EXT4-fs (vda): mounted\n")
        assert rewound.live.rewind()
        time_ns, random = rewound.guest.messages[-1]["fresh"]
        seen.add((time_ns, random))
    assert rewound.guest.asked == ["checkpoint", "rewind", "rewind"]
    assert len(seen) == 2
    assert rewound.live.end() is PASSED


@pytest.mark.parametrize("trouble", ["guest", "unfinished", "host", "vmm", "ended"])
def test_a_machine_with_something_to_judge_is_not_put_back(trouble: str) -> None:
    rewound = Rewound()
    if trouble == "guest":
        rewound.guest.commands.spoke(
            b"EXT4-fs (vda): mounted\nWARNING: CPU: 0 PID: 1 at x.c:1 f+0x1/0x2\n"
        )
    elif trouble == "unfinished":
        rewound.guest.commands.spoke(b"EXT4-fs (vda): mou")
    elif trouble == "host":
        rewound.console += "a word"
    elif trouble == "vmm":
        rewound.guest.answer = {"error": "KVM_SET_REGS: no"}
    else:
        rewound.guest.commands.over()
        rewound.guest.ended.set()
    assert not rewound.live.rewind()
    rewound.live.end()


def test_why_there_is_no_checkpoint_is_said() -> None:
    guests: list[Guest] = []

    def boot(commands: Commands) -> RunRecord:
        guests.append(Guest(commands))
        guests[0].answer = {"error": "virtio-balloon can't be rewound"}
        commands.started(guests[0])  # type: ignore[arg-type]
        commands.ready()
        assert guests[0].ended.wait(20)
        return PASSED

    live_guest = LiveGuest(boot)
    assert live_guest.checkpoint() == "virtio-balloon can't be rewound"
    live_guest.end()


def test_a_machine_that_dies_ends_the_wait_with_its_verdict() -> None:
    guest = LiveGuest(boots(DIED, dies_at="bad"))
    for _ in range(2):  # and each later command
        with pytest.raises(MachineEnded) as ended:
            guest.run(["bad"])
        assert "FAIL kernel-panic: it died" in str(ended.value)
        assert "Oops: 1" in str(ended.value)
    assert guest.ended_early
    assert guest.end() is DIED


def test_one_that_does_not_come_up_says_why() -> None:
    with pytest.raises(MachineEnded, match="it died"):
        LiveGuest(lambda commands: DIED)

    def refuse(commands: Commands) -> RunRecord:
        raise UserError("no such file")

    with pytest.raises(UserError, match="no such file"):
        LiveGuest(refuse)


def test_a_machine_that_does_not_power_off_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_END_S", 0.2)
    told: list[dict[str, Any]] = []

    class Deaf(Guest):
        def send(self, message: dict[str, Any]) -> None:
            told.append(message)
            if "stop" in message:
                self.ended.set()

    def boot(commands: Commands) -> RunRecord:
        guest = Deaf(commands)
        commands.started(guest)  # type: ignore[arg-type]
        commands.ready()
        assert guest.ended.wait(20)
        return DIED

    assert LiveGuest(boot).end() is DIED
    assert [next(iter(message)) for message in told] == ["poweroff", "stop"]


def _drop(said: object) -> None:
    """A sink whose data is not looked at."""


def _drive(session: Script, commands: Commands, log: Path) -> SessionDriver:
    sinks = Sinks(log, _drop, _drop, _drop, live=commands)
    driver = SessionDriver(session, sinks, Limits(0.2, 60.0))
    driver.run()
    return driver


def test_the_silence_of_an_idle_guest_is_no_hang_but_that_of_a_command_is(tmp_path: Path) -> None:
    stopped = {**RESULT, "stop": "stopped"}
    idle, busy = Commands(), Commands()
    script = Script(STARTED, HELLO, 0.6, RESULT, on_stop=stopped)
    assert _drive(script, idle, tmp_path / "1").transcript.deadline is None

    def begin() -> None:
        threading.Thread(target=busy.run, args=(["x"], {}, b"", 5.0), daemon=True).start()

    script = Script(STARTED, HELLO, begin, 5, on_stop=stopped)
    busy.started(script)
    assert _drive(script, busy, tmp_path / "2").transcript.deadline is Deadline.SILENCE
    busy.over()


def test_the_end_that_was_asked_for_is_a_good_one_and_another_is_not(tmp_path: Path) -> None:
    commands = Commands()
    script = Script(STARTED, HELLO, commands.power_off, RESULT)
    commands.started(script)
    assert _drive(script, commands, tmp_path / "1").transcript.exit_code == 0
    assert script.sent == [{"poweroff": True}]
    alone = _drive(Script(STARTED, HELLO, RESULT), Commands(), tmp_path / "2")
    assert alone.transcript.exit_code is None
