# SPDX-License-Identifier: GPL-2.0-only
"""A worker whose guest gets one command after another, and whose machine is put back."""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from kvm.guest.protocol import MAGIC, Frame, FrameDecoder, FrameType, encode

HELLO = MAGIC + encode(FrameType.HELLO, b"protocol=1\nrelease=6.12\ntransport=virtio\n")
STAY = 1 << 2


def exit_frame(code: int) -> bytes:
    return encode(FrameType.EXIT, struct.pack("<ii", code, 0))


def frames(guest: Any) -> Iterator[Frame]:
    """What the worker sends to the guest."""
    decoder = FrameDecoder()
    decoder.feed(MAGIC)
    while True:
        yield from decoder.feed(guest.recv(65536))


@pytest.fixture
def machine(worker: Any) -> Any:
    made = worker.start(None)
    made.agent.sendall(HELLO)
    assert worker.event()["event"] == "hello"
    return made


def test_a_guest_gets_one_command_after_another_and_is_told_to_end(
    worker: Any, machine: Any
) -> None:
    to_guest = frames(machine.agent)
    for code in (3, 0):
        worker.send({"run": {"argv": ["x", str(code)], "stay": True}})
        run = next(to_guest)
        assert run.type is FrameType.RUN
        assert run.payload[0] & STAY and f"x\0{code}\0".encode() in run.payload
        machine.agent.sendall(exit_frame(code))
        ended = worker.event()
        assert (ended["event"], ended["code"]) == ("exit", code)
    worker.send({"poweroff": True})
    assert next(to_guest).type is FrameType.POWEROFF
    machine.finish("reset")
    assert worker.event()["stop"] == "reset"
    assert worker.join() == 0


def test_a_command_before_hello_waits_for_it(worker: Any) -> None:
    made = worker.start(None)
    worker.send({"run": {"argv": ["early"]}})
    worker.send({"ask": 1, "what": "stat"})
    assert worker.event()["event"] == "answer"
    made.agent.sendall(HELLO)
    run = next(frames(made.agent))
    assert run.type is FrameType.RUN and b"early\0" in run.payload


def test_a_clone_gets_the_time_and_random_numbers_of_its_own(worker: Any, machine: Any) -> None:
    worker.send({"fresh": [1 << 60, b64encode(b"random").decode()]})
    fresh = next(frames(machine.agent))
    assert fresh.type is FrameType.FRESH
    assert fresh.payload == struct.pack("<Q", 1 << 60) + b"random"


def test_a_machine_is_put_back_while_it_stands_still(worker: Any, machine: Any) -> None:
    for number, what in enumerate(("checkpoint", "rewind"), 1):
        worker.send({"ask": number, "what": what})
        assert worker.event() == {"event": "answer", "ask": number}
    assert machine.put_back == [("checkpoint", True), ("rewind", True)]  # and paused meanwhile
    assert not machine.paused


def test_what_a_guest_said_before_it_was_put_back_is_void_but_its_kernels_words_are_not(
    worker: Any, machine: Any
) -> None:
    worker.send({"ask": 1, "what": "checkpoint"})
    worker.event()
    to_guest = frames(machine.agent)
    worker.send({"run": {"argv": ["x"], "stay": True}})
    next(to_guest)

    def before_the_rewind() -> None:
        machine.console.sendall(b"Oops\n")
        machine.agent.sendall(exit_frame(9) + b"\x04half a frame"[:3])

    machine.on_rewind = before_the_rewind
    worker.send({"ask": 2, "what": "rewind"})
    seen = worker.events_until("answer")
    assert [event["event"] for event in seen] == ["console", "answer"]
    # The stream begins anew, between two frames.
    worker.send({"run": {"argv": ["y"], "stay": True}})
    assert b"y\0" in next(to_guest).payload
    machine.agent.sendall(exit_frame(5))
    assert worker.event()["code"] == 5


def test_why_a_machine_can_not_be_put_back_is_answered(worker: Any, machine: Any) -> None:
    machine.refuses = "virtio-block1 can't be rewound; leave it out"
    worker.send({"ask": 1, "what": "checkpoint"})
    assert worker.event() == {"event": "answer", "ask": 1, "error": machine.refuses}
    assert not machine.paused
