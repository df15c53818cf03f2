# SPDX-License-Identifier: GPL-2.0-only
"""A session that plays what a worker says, and the driver that follows it."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from typing import Any

from kvm.host.given import GivenClock
from kvm.run.drive import Transcript

Event = dict[str, Any]
Drives = Callable[..., tuple[Transcript, bytes]]

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
