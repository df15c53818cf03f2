# SPDX-License-Identifier: GPL-2.0-only
"""The worker's protocol, with a fake machine whose guest is played by the test."""

from __future__ import annotations

import itertools
import struct
import threading
import time
from base64 import b64decode, b64encode
from types import SimpleNamespace
from typing import Any

import pytest

from kvm.guest.protocol import MAGIC, FrameDecoder, FrameType, encode

HELLO = MAGIC + encode(FrameType.HELLO, b"protocol=1\nrelease=6.12\ntransport=virtio\n")
RUN = {"argv": ["true"], "tty": False, "rows": 24, "cols": 80, "env": {"A": "b"}}


def exit_frame(code: int, signal: int = 0) -> bytes:
    return encode(FrameType.EXIT, struct.pack("<ii", code, signal))


def receive(guest: Any, frame_type: FrameType) -> bytes:
    """Read frames to the guest until one of this type; return its payload."""
    decoder = FrameDecoder()
    decoder.feed(MAGIC)
    while True:
        for frame in decoder.feed(guest.recv(65536)):
            if frame.type is frame_type:
                return frame.payload


def test_a_run_goes_from_hello_to_result(worker: Any) -> None:
    machine = worker.start(RUN)
    machine.agent.sendall(HELLO)
    hello = worker.event()
    assert hello["event"] == "hello"
    assert hello["info"]["release"] == "6.12"
    assert b"true\0" in receive(machine.agent, FrameType.RUN)
    machine.agent.sendall(encode(FrameType.STDOUT, b"out") + encode(FrameType.STDERR, b"err"))
    out, err = worker.event(), worker.event()
    assert (out["event"], b64decode(out["data"])) == ("stdout", b"out")
    assert (err["event"], b64decode(err["data"])) == ("stderr", b"err")
    machine.agent.sendall(exit_frame(7))
    ended = worker.event()
    assert (ended["event"], ended["code"], ended["signal"]) == ("exit", 7, 0)
    receive(machine.agent, FrameType.POWEROFF)
    machine.finish("reset", "port 0xcf9")
    result = worker.event()
    assert result["event"] == "result"
    assert (result["stop"], result["detail"]) == ("reset", "port 0xcf9")
    assert result["exits"]["ports"] == {"0xcf9": 1}
    assert result["registers"] == [{"vcpu": 0, "rip": 0x1000}]
    assert result["log_buf"] is None
    assert worker.join() == 0
    assert machine.closed


def test_what_was_read_of_the_input_is_passed_on(worker: Any) -> None:
    machine = worker.start(RUN)
    machine.agent.sendall(HELLO)
    worker.event()
    assert receive(machine.agent, FrameType.RUN)[0] & 2  # asked for
    machine.agent.sendall(encode(FrameType.STDIN_READ, struct.pack("<Q", 5 << 32)))
    told = worker.event()
    assert (told["event"], told["bytes"]) == ("stdin_read", 5 << 32)


def test_the_console_is_passed_on_with_its_last_words(worker: Any) -> None:
    machine = worker.start()
    machine.console.sendall(b"Linux version\n")
    assert b64decode(worker.event()["data"]) == b"Linux version\n"
    machine.console.sendall(b"Kernel panic\n")
    machine.finish("reset")
    seen = worker.events_until("result")
    console = b"".join(b64decode(e["data"]) for e in seen if e["event"] == "console")
    assert console == b"Kernel panic\n"


def test_what_the_vmm_still_holds_at_the_end_is_waited_for(worker: Any) -> None:
    machine = worker.start()
    machine.output_unsent = True
    machine.finish("reset")

    def later() -> None:
        # The VMM sends as the sockets are read, until it has nothing left.
        machine.console.sendall(b"last ")
        time.sleep(0.3)
        machine.console.sendall(b"words\n")
        machine.output_unsent = False

    teller = threading.Thread(target=later)
    teller.start()
    seen = worker.events_until("result")
    teller.join()
    console = b"".join(b64decode(e["data"]) for e in seen if e["event"] == "console")
    assert console == b"last words\n"


def test_a_vmm_that_sends_no_more_is_not_waited_for_for_ever(
    worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.module, "_UNSENT_MS", 50)
    machine = worker.start()
    machine.output_unsent = True
    machine.finish("reset")
    assert worker.events_until("result")[-1]["stop"] == "reset"


def test_hello_may_come_on_the_serial_port(worker: Any) -> None:
    machine = worker.start(RUN)
    machine.serial.sendall(b"boot noise" + HELLO)
    assert worker.event()["event"] == "hello"
    assert b"true\0" in receive(machine.serial, FrameType.RUN)


def test_without_a_command_hello_is_only_reported(worker: Any) -> None:
    machine = worker.start(None)
    machine.agent.sendall(HELLO)
    assert worker.event()["event"] == "hello"
    machine.agent.settimeout(0.1)
    with pytest.raises(TimeoutError):
        machine.agent.recv(1)


def test_input_before_hello_follows_the_command(worker: Any) -> None:
    machine = worker.start(RUN)
    worker.send({"stdin": b64encode(b"early").decode()})
    worker.send({"stdin_eof": True})
    machine.agent.sendall(HELLO)
    decoder = FrameDecoder()
    decoder.feed(MAGIC)
    types: list[FrameType] = []
    while FrameType.STDIN_EOF not in types:
        types += [frame.type for frame in decoder.feed(machine.agent.recv(65536))]
    assert types == [FrameType.RUN, FrameType.STDIN, FrameType.STDIN_EOF]


def test_input_is_acknowledged_when_the_guest_has_it_and_a_stop_does_not_wait(worker: Any) -> None:
    machine = worker.start(RUN)
    machine.agent.sendall(HELLO)
    worker.send({"stdin": b64encode(b"a line").decode()})
    assert worker.events_until("stdin_taken")[-1]["bytes"] == 6
    chunk = {"stdin": b64encode(bytes(32 * 1024)).decode()}
    for _ in range(32):  # more than the guest's socket holds
        worker.send(chunk)
    worker.send({"stop": "enough"})
    assert worker.events_until("result")[-1]["detail"] == "enough"


def test_window_size_and_signals_reach_the_guest(worker: Any) -> None:
    machine = worker.start({**RUN, "tty": True})
    machine.agent.sendall(HELLO)
    receive(machine.agent, FrameType.RUN)
    worker.send({"winsize": [50, 132]})
    assert struct.unpack("<HH", receive(machine.agent, FrameType.WINSIZE)) == (50, 132)
    assert machine.sizes == [(80, 24), (132, 50)]
    worker.send({"signal": 2})
    assert struct.unpack("<i", receive(machine.agent, FrameType.SIGNAL)) == (2,)


def test_a_window_size_before_hello_becomes_part_of_the_command(worker: Any) -> None:
    machine = worker.start({**RUN, "tty": True})
    worker.send({"winsize": [50, 132]})
    machine.console.sendall(b"x")  # its event says that the loop has run since
    worker.event()
    machine.agent.sendall(HELLO)
    assert struct.unpack_from("<IHH", receive(machine.agent, FrameType.RUN)) == (1, 50, 132)


def test_stop_ends_the_machine_with_the_given_reason(worker: Any) -> None:
    worker.start(RUN)
    worker.send({"stop": "timeout after 3 s"})
    result = worker.event()
    assert (result["stop"], result["detail"]) == ("stopped", "timeout after 3 s")
    assert worker.join() == 0


def test_the_end_of_the_input_ends_the_machine(worker: Any) -> None:
    worker.start(RUN)
    worker.hang_up()
    result = worker.event()
    assert result["stop"] == "stopped"
    assert "gone" in result["detail"]
    assert worker.join() == 0


def test_a_guest_that_still_works_after_exit_is_left_to_whoever_has_the_deadlines(
    worker: Any,
) -> None:
    machine = worker.start(RUN)
    machine.agent.sendall(HELLO + exit_frame(0))
    worker.events_until("exit")
    time.sleep(5.5)  # the grace period of an earlier version
    machine.agent.sendall(encode(FrameType.HEARTBEAT))
    assert worker.event() == {"event": "heartbeat"}
    worker.send({"stop": "enough"})
    assert worker.event()["detail"] == "enough"


def test_a_step_in_which_nobody_was_run_is_not_held_against_the_vcpus(
    worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    jumps = itertools.count(step=100)
    clock = SimpleNamespace(monotonic=lambda: next(jumps), monotonic_ns=time.monotonic_ns)
    monkeypatch.setattr(worker.module, "time", clock)
    monkeypatch.setattr(worker.module, "_STOP_S", 0.2)
    monkeypatch.setattr(worker.module, "_STOP_STEP_S", 0.05)
    monkeypatch.setattr(worker.module.Session, "_end_stuck", lambda session: ended.set())
    machine = worker.start(RUN)
    monkeypatch.setattr(machine, "stop", lambda: None)
    worker.send({"stop": "enough"})
    begun = time.monotonic()
    assert ended.wait(10)
    assert time.monotonic() - begun >= 0.15
    machine.finish("stopped")
    assert worker.event()["event"] == "result"


def test_a_guest_that_can_not_reset_before_its_output_is_read_is_waited_for(worker: Any) -> None:
    machine = worker.start(RUN)
    last_words = b"x" * (1 << 20)

    def say() -> None:
        machine.agent.sendall(HELLO + exit_frame(0))
        machine.console.sendall(last_words)
        machine.finish("reset")

    guest = threading.Thread(target=say)
    guest.start()
    time.sleep(1.2)
    seen = worker.events_until("result")
    guest.join()
    assert seen[-1]["stop"] == "reset"
    console = b"".join(b64decode(e["data"]) for e in seen if e["event"] == "console")
    assert console == last_words


def test_a_reset_in_mid_stream_still_delivers_what_was_sent(worker: Any) -> None:
    machine = worker.start(RUN)
    machine.agent.sendall(HELLO)
    worker.event()
    machine.agent.sendall(encode(FrameType.STDOUT, b"half"))
    machine.finish("shutdown", "triple fault")
    seen = worker.events_until("result")
    assert [e["event"] for e in seen] == ["stdout", "result"]


def test_a_guest_error_is_reported(worker: Any) -> None:
    machine = worker.start(RUN)
    machine.agent.sendall(HELLO + encode(FrameType.ERROR, b"cannot mount /proc"))
    worker.event()
    assert worker.event() == {"event": "guest_error", "message": "cannot mount /proc"}


def test_frames_from_the_other_port_are_not_the_commands(worker: Any) -> None:
    machine = worker.start(RUN)
    machine.agent.sendall(HELLO)
    worker.event()
    machine.serial.sendall(MAGIC + encode(FrameType.STDOUT, b"not me"))
    machine.console.sendall(b"marker")
    assert worker.event()["event"] == "console"


@pytest.mark.parametrize(
    ("kernel", "kind"), [("bad-config", "config"), ("bad-load", "load"), ("bad-kvm", "kvm")]
)
def test_a_failed_set_up_is_one_error_and_exit_code_2(worker: Any, kernel: str, kind: str) -> None:
    worker.send({"spec": {"kernel": kernel, "initrd": None, "cmdline": ""}, "run": None})
    event = worker.event()
    assert (event["event"], event["kind"]) == ("error", kind)
    assert event["message"]
    assert worker.join() == 2


@pytest.mark.parametrize(
    "request_line", [{"spec": {"cmdline": ""}}, {}, {"spec": {"kernel": "k", "typo": 1}}]
)
def test_a_bad_request_is_a_config_error(worker: Any, request_line: dict[str, Any]) -> None:
    worker.send(request_line)
    event = worker.event()
    assert (event["event"], event["kind"]) == ("error", "config")
    assert worker.join() == 2


def test_no_request_at_all_is_no_error(worker: Any) -> None:
    worker.hang_up()
    assert worker.join() == 0


def test_the_kernel_log_is_read_from_memory(worker: Any) -> None:
    machine = worker.start(None, log_buf=[0x100, 4])
    machine.finish("reset")
    assert b64decode(worker.event()["log_buf"]) == b"LLLL"


def test_a_log_outside_memory_is_left_out(worker: Any) -> None:
    machine = worker.start(None, log_buf=[0x100000, 4])
    machine.finish("reset")
    assert worker.event()["log_buf"] is None


def test_a_lot_of_output_arrives_whole_through_a_slow_reader(worker: Any) -> None:
    machine = worker.start(RUN)
    machine.agent.sendall(HELLO)
    worker.event()
    frame = encode(FrameType.STDOUT, b"x" * 60000)
    total = 0
    for _ in range(40):  # far more than the sockets, the pipe and the worker's buffer hold
        machine.agent.sendall(frame)
        total += len(b64decode(worker.event()["data"]))
    assert total == 40 * 60000


def test_the_balloon_is_set_and_asked_while_the_machine_runs(worker: Any) -> None:
    machine = worker.start()
    worker.send({"ask": 1, "what": "balloon", "mib": 64})
    assert worker.event() == {"event": "answer", "ask": 1}
    worker.send({"ask": 2, "what": "stat"})
    event = worker.event()
    assert (event["event"], event["ask"], event["paused"]) == ("answer", 2, False)
    assert event["balloon"] == {"target_bytes": 64 << 20, "statistics": {"4": 1000}}
    assert event["exits"]["reasons"] == {"io": 1}
    assert machine.asked
    worker.send({"ask": 3, "what": "balloon", "mib": 1000})
    assert worker.event() == {"event": "answer", "ask": 3, "error": "leave the guest some"}


def test_a_pause_is_told_and_answered(worker: Any) -> None:
    machine = worker.start()
    for what, paused in (("pause", True), ("pause", True), ("resume", False), ("resume", False)):
        worker.send({"ask": 1, "what": what})
        assert worker.event() == {"event": "paused", "paused": paused}
        assert worker.event() == {"event": "answer", "ask": 1}
        assert machine.paused is paused


def test_an_nmi_is_for_a_vcpu_that_there_is(worker: Any) -> None:
    machine = worker.start()
    worker.send({"ask": 1, "what": "nmi", "vcpu": 0})
    assert worker.event() == {"event": "answer", "ask": 1}
    assert machine.nmis == 1
    worker.send({"ask": 2, "what": "nmi", "vcpu": 1})
    assert "no vCPU 1" in worker.event()["error"]


def test_a_sysrq_goes_to_init_once_that_is_there_and_to_the_serial_line_before(
    worker: Any,
) -> None:
    machine = worker.start()
    worker.send({"ask": 1, "what": "sysrq", "key": "h"})
    assert worker.event() == {"event": "answer", "ask": 1, "by": "serial"}
    assert machine.sysrqs == ["h"]
    machine.agent.sendall(HELLO)
    assert worker.event()["event"] == "hello"
    worker.send({"ask": 2, "what": "sysrq", "key": "w"})
    assert worker.event() == {"event": "answer", "ask": 2, "by": "init"}
    assert receive(machine.agent, FrameType.SYSRQ) == b"w"
    assert machine.sysrqs == ["h"]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"what": "dance"}, "can't be asked for 'dance'"),
        ({"what": "nmi"}, "'vcpu' is missing"),
        ({"what": "nmi", "vcpu": "x"}, "invalid literal"),
        ({"what": "balloon", "mib": None}, "int()"),
        ({"what": "sysrq", "key": "hw"}, "one character"),
        ({"what": "sysrq", "key": 7}, "one character"),
        ({}, "'what' is missing"),
    ],
)
def test_nonsense_is_answered_and_the_machine_goes_on(
    worker: Any, request_: dict[str, Any], words: str
) -> None:
    worker.start()
    worker.send({"ask": 5, **request_})
    event = worker.event()
    assert (event["event"], event["ask"]) == ("answer", 5)
    assert words in event["error"]
    worker.send({"ask": 6, "what": "stat"})
    assert worker.event()["ask"] == 6


def test_a_users_serial_line_is_carried_both_ways(worker: Any) -> None:
    machine = worker.start(ttys=[0, 3])
    guest = machine.ttys[3][0]
    guest.sendall(b"login: ")
    assert worker.event() == {"event": "tty", "line": 3, "data": b64encode(b"login: ").decode()}
    worker.send({"tty": 3, "data": b64encode(b"root\n").decode()})
    guest.settimeout(10)
    assert guest.recv(100) == b"root\n"
    worker.send({"tty": 2, "data": b64encode(b"nobody's").decode()})
    worker.send({"tty": 0, "data": b64encode(b"x").decode()})
    machine.ttys[0][0].settimeout(10)
    assert machine.ttys[0][0].recv(100) == b"x"


def test_a_serial_line_that_nobody_reads_keeps_nothing_else_waiting(worker: Any) -> None:
    machine = worker.start(ttys=[2])
    for _ in range(40):
        worker.send({"tty": 2, "data": b64encode(bytes(30_000)).decode()})
    worker.send({"ask": 1, "what": "stat"})
    assert worker.event()["ask"] == 1
    # Far from all of it, but without gaps: the loss was at the end.
    guest, got = machine.ttys[2][0], 0
    guest.settimeout(0.5)
    try:
        while part := guest.recv(1 << 16):
            got += len(part)
    except TimeoutError:
        pass
    assert 64 * 1024 <= got < 40 * 30_000


def test_viewers_of_the_display_are_carried_both_ways_until_either_closes(worker: Any) -> None:
    machine = worker.start(display=[640, 480])
    for number in (1, 2):
        worker.send({"viewer": number, "open": True})
    worker.send({"viewer": 2, "data": b64encode(b"RFB").decode()})
    worker.send({"ask": 1, "what": "stat"})
    assert worker.event()["ask"] == 1
    one, two = machine.viewers
    two.settimeout(10)
    assert two.recv(10) == b"RFB"
    one.sendall(b"frame")
    assert worker.event() == {"event": "viewer", "viewer": 1, "data": b64encode(b"frame").decode()}
    one.close()
    assert worker.event() == {"event": "viewer", "viewer": 1, "closed": True}
    worker.send({"viewer": 2, "close": True})
    assert worker.event() == {"event": "viewer", "viewer": 2, "closed": True}
    assert two.recv(10) == b""
    worker.send({"viewer": 2, "data": b64encode(b"late").decode()})
    machine.finish("reset")
    assert worker.event()["event"] == "result"


def test_a_viewer_that_is_not_served_is_closed(worker: Any) -> None:
    worker.start(display=[640, 480])
    worker.send({"viewer": 1, "open": True})
    for _ in range(60):
        worker.send({"viewer": 1, "data": b64encode(bytes(40_000)).decode()})
    assert worker.event() == {"event": "viewer", "viewer": 1, "closed": True}


def test_a_viewer_of_no_display_is_closed_at_once(worker: Any) -> None:
    worker.start()
    worker.send({"viewer": 1, "open": True})
    assert worker.event() == {"event": "viewer", "viewer": 1, "closed": True}
