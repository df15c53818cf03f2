# SPDX-License-Identifier: GPL-2.0-only
"""The client's side of a VMM worker or a command in a lab host.

``hear`` and ``lose`` are called on the channel's thread, the rest on the user's.
"""

from __future__ import annotations

import base64
import codecs
import json
import queue
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kvm.host.base import CommandTimeout, Event, HostLost
from kvm.host.given import GivenClock, Kept, Span
from kvm.host.inbox import Inbox

if TYPE_CHECKING:
    from kvm.wire import agent as wire

_CHECK_EVERY_S = 30.0  # after this much silence: does the lab host still answer?
_TICK_S = 0.1
_KILL_S = 30.0  # a process that survives this long is stuck in the lab host's kernel


class Agent(Protocol):
    """The requests of a session to its lab host; each raises ``HostLost`` if that is gone."""

    def post(self, op: str, **fields: object) -> None: ...
    def ping(self) -> float: ...
    def beat(self) -> None: ...
    def end_as_lost(self, why: str) -> HostLost: ...
    def kept(self) -> Kept: ...
    def forget(self, number: int) -> None: ...


class Sink(Protocol):
    """Takes what the agent reports about one session."""

    def hear(self, message: wire.Report) -> None: ...
    def lose(self, loss: HostLost) -> None: ...


class LabSession:
    """A VMM worker in a lab host; ``earlier`` are events that it had before we were its client."""

    def __init__(
        self, host: Agent, number: int, run_dir: Path, earlier: Sequence[Event] = ()
    ) -> None:
        self.number = number
        self._host = host
        self._earlier = earlier
        self._inbox = Inbox(run_dir, host.beat)  # the channel's thread waits here
        self.clock = GivenClock(host.kept())
        self._killed: Span | None = None

    @property
    def exit_status(self) -> int | None:
        return self._inbox.exit_status

    @property
    def stderr_tail(self) -> str:
        return self._inbox.stderr_tail

    def events(self, timeout_s: float = 0.2) -> Iterator[Event | None]:
        """The events; checks now and then that the worker is silent and not its host."""
        earlier, self._earlier = self._earlier, ()
        yield from earlier
        heard, checked = Span(self.clock), Span(self.clock)
        for event in self._inbox.events(timeout_s):
            self.clock.look()
            killed = self._killed
            if event is not None:
                heard.restart()
                checked.restart()
            elif killed is not None and heard.over(_KILL_S) and killed.over(_KILL_S):
                raise self._host.end_as_lost("a worker can't be killed")
            elif checked.had(_CHECK_EVERY_S):
                self._host.ping()
                checked.restart()
            yield event

    def send(self, message: Event) -> None:
        if self._inbox.exit_status is None:
            self._host.post("input", session=self.number, data=json.dumps(message))

    def kill(self) -> None:
        if self._killed is None:
            self._killed = Span(self.clock)
        if self._inbox.exit_status is None:
            self._host.post("kill", session=self.number)

    def hear(self, message: wire.Report) -> None:
        if "event" in message:
            self._inbox.put_event(dict(message["event"]))
        elif "stderr" in message:
            self._inbox.put_text(str(message["stderr"]))
        elif "exit" in message:
            self._host.forget(self.number)
            self._inbox.end(int(message["exit"]))

    def lose(self, loss: HostLost) -> None:
        self._inbox.lose(loss)


class LabCommand:
    """A command in a lab host, followed to its end."""

    def __init__(self, host: Agent, number: int, argv: Sequence[str]) -> None:
        self.number = number
        self._host = host
        self._argv = argv
        self._queue: queue.SimpleQueue[wire.Report | HostLost] = queue.SimpleQueue()

    def hear(self, message: wire.Report) -> None:
        self._queue.put(message)

    def lose(self, loss: HostLost) -> None:
        self._queue.put(loss)

    def follow(self, timeout_s: float, on_output: Callable[[str], None] | None) -> tuple[int, str]:
        """Its exit code and output. Raises ``CommandTimeout`` after killing it, ``HostLost``."""
        output = LineCutter(on_output)
        clock = GivenClock(self._host.kept())
        span, limit_s = Span(clock), timeout_s
        expired, starved = False, False
        while True:
            clock.look()
            had = span.had(limit_s)
            if had or span.hopeless(limit_s):
                if expired:
                    raise self._host.end_as_lost("a command can't be killed")
                expired, starved = True, not had
                self._host.post("kill", session=self.number)
                span.restart()
                limit_s = _KILL_S
            try:
                message = self._queue.get(timeout=_TICK_S)
            except queue.Empty:
                continue
            if isinstance(message, HostLost):
                raise message
            if "exit" in message:
                break
            if "output" in message:
                output.feed(base64.b64decode(message["output"]))
            elif "stderr" in message:  # the agent's: it could not be started
                output.feed(message["stderr"].encode())
        self._host.forget(self.number)
        output.end()
        if expired:
            raise CommandTimeout(self._argv, timeout_s, output.text, starved=starved)
        return int(message["exit"]), output.text

    def stop(self) -> str:
        """Kill it; return its output."""
        try:
            return self.follow(0, None)[1]
        except CommandTimeout as killed:
            return killed.output


class LineCutter:
    """Keeps all output and passes it on line by line."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self._on_line = on_line
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._parts: list[str] = []
        self._partial = ""

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def feed(self, data: bytes) -> None:
        self._take(self._decoder.decode(data))

    def end(self) -> None:
        self._take(self._decoder.decode(b"", final=True))
        if self._partial and self._on_line is not None:
            self._on_line(self._partial)
        self._partial = ""

    def _take(self, text: str) -> None:
        self._parts.append(text)
        *lines, self._partial = (self._partial + text).split("\n")
        for line in lines:
            if self._on_line is not None:
                self._on_line(line)
