# SPDX-License-Identifier: GPL-2.0-only
"""Drive one session from its first event to its result, within its deadlines.

Output is passed on (console to its file and the parser, the command's stdout and stderr to
the caller), each sign of life extends the silence deadline, and everything learned ends up
in a ``Transcript``.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kvm.guest.event_log import EventLog
from kvm.host.base import HostLost, Session
from kvm.host.given import Span
from kvm.verdict.console import ConsoleParser
from kvm.verdict.observation import Deadline, WorkerError

if TYPE_CHECKING:
    from kvm.wire import worker as wire

Event = Mapping[str, Any]

_GRACE_AFTER_DEATH_S = 3.0
_RESULT_WAIT_S = 10.0
# Longer than a lab host takes to find out that its kernel can't end a process.
_END_WAIT_S = 40.0
# A flooding guest's console is kept up to here; the verdict says how much was dropped.
CONSOLE_LIMIT_BYTES = 16 << 20
# Until it has started, a machine waits for its host, which may read files slowly.
_SET_UP_TIMES = 5
# How often the deadlines are checked, and, in an interactive run, the keyboard.
_TICK_S = 0.1
_KEY_TICK_S = 0.01
# Output that the user's reader has not taken; above this, no more is taken from the worker.
READER_LIMIT_BYTES = 256 * 1024
# How long to wait for the reader when the run was ended early.
_LAST_OUTPUT_S = 2.0


@dataclass(slots=True)
class Transcript:
    """What is known of one session so far. Times are seconds since the session began."""

    console: ConsoleParser = field(default_factory=ConsoleParser)
    hello: dict[str, str] | None = None
    events: EventLog = field(default_factory=EventLog)
    started_s: float | None = None
    started_ns: int = 0  # by the clock of the worker's machine
    load_s: float | None = None
    hello_s: float | None = None
    exit_s: float | None = None
    hello_ns: int | None = None  # by the clock of the worker's machine
    exit_ns: int | None = None
    end_s: float = 0.0
    exit_code: int | None = None
    exit_signal: int = 0
    stdin_read: int | None = None  # bytes that the command had read when it ended
    guest_error: str = ""
    result: dict[str, Any] | None = None
    worker_error: WorkerError | None = None
    deadline: Deadline | None = None
    deadline_s: float = 0.0
    kept_s: float = 0.0  # for so long this computer did not run the machine
    spoilt: bool = False  # by so much of that that the kernel's own stall reports mean nothing
    overdue: bool = False  # it was asked to stop, sent no result, and was killed
    interrupted: str = ""  # who ended it early, in words
    console_bytes: int = 0
    reader_s: float = 0.0  # how long the guest was kept waiting for the reader of its output
    unread_bytes: int = 0  # of output that was not read in time

    @property
    def command_s(self) -> float | None:
        """From init's hello to the command's end, by the worker's clock, closer to the guest's."""
        if self.hello_ns is None or self.exit_ns is None:
            return None
        return (self.exit_ns - self.hello_ns) / 1e9

    @property
    def console_dropped_bytes(self) -> int:
        return max(self.console_bytes - CONSOLE_LIMIT_BYTES, 0)


class Control(Protocol):
    """The source of requests to the machine, which takes their answers."""

    def poll(self) -> list[dict[str, Any]]:
        """The requests that came since the last call."""

    def take(self, event: Event) -> None:
        """Take the worker's answer to a request, or its notice of a pause."""

    def answer(self, number: Any, answer: dict[str, Any]) -> None:
        """Answer a request in which the worker has no part."""


class Ttys(Protocol):
    """The user's ends of the guest's serial lines."""

    def poll(self) -> list[dict[str, Any]]:
        """What was typed since the last call, as messages for the worker."""

    def take(self, number: int, data: bytes) -> None:
        """Take what the guest wrote to line ``number``."""


class Viewers(Protocol):
    """The viewers of the machine's display."""

    def poll(self) -> list[dict[str, Any]]:
        """Their input since the last call, as messages for the worker."""

    def take(self, event: Event) -> None:
        """Take a message for one of them."""


class Reader(Protocol):
    """The reader of the output, which may be slow."""

    def wait(self, below: int, timeout_s: float) -> bool:
        """Whether fewer than ``below`` bytes are unread now, or will be within the timeout."""

    def give_up(self, patience_s: float) -> int:
        """Stop waiting for the reader; return how many bytes it will never read."""


class Live(Protocol):
    """The commands of a guest that runs one after another (``run/live.py``)."""

    @property
    def idle(self) -> bool:
        """Whether the guest waits for a command."""

    @property
    def powering_off(self) -> bool:
        """Whether the guest was told to end."""

    def ready(self) -> None:
        """Its init is up."""

    def exited(self, code: int, signal: int) -> None:
        """A command has ended."""

    def spoke(self, data: bytes) -> None:
        """The guest's kernel has printed this."""

    def answered(self, event: Mapping[str, Any]) -> None:
        """The worker has answered a request, which need not be ours."""


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where a run's streams go.

    ``input`` is polled for what to send to the guest, more often if the user is ``typing``;
    ``enough`` says whether to kill the VMM now. A ``reader`` that falls behind is waited for.
    ``live`` is for a guest without a command of its own.
    """

    console_log: Path
    stdout: Callable[[bytes], None]
    stderr: Callable[[bytes], None]
    phase: Callable[[str], None]
    console: Callable[[bytes], None] | None = None
    input: Callable[[], list[dict[str, Any]]] | None = None
    typing: bool = False
    enough: Callable[[], bool] | None = None
    control: Control | None = None
    ttys: Ttys | None = None
    viewers: Viewers | None = None
    reader: Reader | None = None
    live: Live | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds without a sign of life, and for the whole run.

    Silence counts the time that this computer gave the machine. So does ``total_s`` if it is a
    test's own limit (``bounded``), and from the machine's start on: until then its host is at
    work, and not the test. A limit that the user set is wall-clock time from the beginning.
    """

    silence_s: float
    total_s: float
    bounded: bool = False


class SessionDriver:
    """One run of one session. Call ``run`` once."""

    def __init__(
        self,
        session: Session,
        sinks: Sinks,
        limits: Limits,
    ) -> None:
        self._session = session
        self._sinks = sinks
        self._limits = limits
        self._start = time.monotonic()
        self._limit_s = limits.total_s  # and the pauses
        self._whole = Span(session.clock)
        self._silence = Span(session.clock)
        self._script_until = 0.0
        self._paused_at: float | None = None
        self._stopping: Span | None = None
        self._dying_at: float | None = None
        self._killed = False
        self._stdin_window: float = math.inf  # also if the worker reports none
        self._stdin_on_the_way = 0
        self._log: Callable[[bytes], Any] = lambda data: None
        self.transcript = Transcript()
        self._handlers: Mapping[str, Callable[[Any], None]] = {
            "console": self._on_console,
            "tty": self._on_tty,
            "viewer": self._on_viewer,
            "script": self._on_script,
            "started": self._on_started,
            "hello": self._on_hello,
            "heartbeat": self._on_heartbeat,
            "stdin_taken": self._on_stdin_taken,
            "stdin_read": self._on_stdin_read,
            "stdout": self._on_stdout,
            "stderr": self._on_stderr,
            "exit": self._on_exit,
            "events": self._on_events,
            "guest_error": self._on_guest_error,
            "answer": self._on_answer,
            "paused": self._on_paused,
            "result": self._on_result,
            "error": self._on_error,
        }

    def run(self) -> Transcript:
        """Follow the session to its end; Ctrl-C stops the machine and is recorded."""
        script = self.transcript
        clock = self._session.clock
        with self._sinks.console_log.open("wb") as log:
            self._log = log.write
            try:
                self._follow()
                self._wait_for_reader(1)
            except KeyboardInterrupt:
                script.interrupted = "interrupted"
                self._stop("interrupted")
                self._follow()
            except HostLost:
                self._wait_for_reader(1)
                raise
            finally:
                script.kept_s, script.spoilt = clock.kept_s, clock.spoilt
                if self._sinks.reader is not None:
                    script.unread_bytes = self._sinks.reader.give_up(_LAST_OUTPUT_S)
            script.console.finish()
        script.end_s = self._now()
        return script

    def _follow(self) -> None:
        sinks = self._sinks
        typing = sinks.typing or sinks.ttys is not None or sinks.viewers is not None
        for event in self._session.events(_KEY_TICK_S if typing else _TICK_S):
            if event is not None:
                self._take(event)
                if event["event"] in ("result", "error"):
                    return
            self._session.clock.look()
            self._wait_for_reader(READER_LIMIT_BYTES)
            self._forward_input()
            self._forward_requests()
            if self._enough():
                continue
            if not self._in_time():
                return

    def _wait_for_reader(self, below: int) -> None:
        """Take nothing from the guest until its output is read; this is no silence of the guest.

        When a run is being ended, the remaining output is taken: no running guest adds to it.
        """
        reader, since = self._sinks.reader, time.monotonic()
        while reader is not None and self._stopping is None and not reader.wait(below, _TICK_S):
            now = time.monotonic()
            self._session.clock.look()
            self._silence.restart()
            if self._dying_at is not None:
                self._dying_at += now - since
            self.transcript.reader_s += now - since
            since = now
            self._forward_input()
            self._forward_requests()
            self._in_time()

    def _take(self, event: Event) -> None:
        self._script_until = 0.0
        handler = self._handlers.get(event["event"])
        if handler is None:
            return
        self._silence.restart()
        handler(event)

    def _on_console(self, event: wire.Bytes) -> None:
        data, script = base64.b64decode(event["data"]), self.transcript
        kept = data[: max(CONSOLE_LIMIT_BYTES - script.console_bytes, 0)]
        script.console_bytes += len(data)
        if kept:
            self._log(kept)
        script.console.feed(data)
        if self._sinks.live is not None:
            self._sinks.live.spoke(data)
        if self._sinks.console is not None:
            self._sinks.console(data)
        if script.console.dying and self._dying_at is None:
            self._dying_at = time.monotonic()

    def _on_tty(self, event: wire.TtyOutput) -> None:
        if self._sinks.ttys is not None:
            self._sinks.ttys.take(int(event["line"]), base64.b64decode(event["data"]))

    def _on_viewer(self, event: wire.ViewerOutput) -> None:
        if self._sinks.viewers is not None:
            self._sinks.viewers.take(event)

    def _on_script(self, event: wire.Script) -> None:
        """A user's program has its own deadline, and no guest runs meanwhile."""
        self._script_until = time.monotonic() + float(event["limit_s"])

    def _on_started(self, event: wire.Started) -> None:
        self.transcript.started_s = self._now()
        if self._limits.bounded:
            self._whole.restart()
        self.transcript.started_ns = int(event.get("t_ns", 0))
        self.transcript.load_s = int(event.get("load_ns", 0)) / 1e9
        self._stdin_window = event.get("stdin_window", math.inf)
        self._sinks.phase("booting")

    def _on_hello(self, event: wire.Hello) -> None:
        self.transcript.hello = dict(event["info"])
        self.transcript.hello_s = self._now()
        self.transcript.hello_ns = event.get("t_ns")
        self._sinks.phase("init is up")
        if self._sinks.live is not None:
            self._sinks.live.ready()

    def _on_heartbeat(self, event: wire.Heartbeat) -> None:
        """Nothing to do but count it as a sign of life: a silent command is no hang."""

    def _on_stdin_taken(self, event: wire.StdinCount) -> None:
        self._stdin_on_the_way -= int(event["bytes"])

    def _on_stdin_read(self, event: wire.StdinCount) -> None:
        self.transcript.stdin_read = event["bytes"]

    def _on_stdout(self, event: wire.Bytes) -> None:
        self._sinks.stdout(base64.b64decode(event["data"]))

    def _on_stderr(self, event: wire.Bytes) -> None:
        self._sinks.stderr(base64.b64decode(event["data"]))

    def _on_exit(self, event: wire.Exit) -> None:
        if self._sinks.live is not None:
            self._sinks.live.exited(int(event["code"]), int(event.get("signal", 0)))
            return
        self.transcript.exit_code = int(event["code"])
        self.transcript.exit_signal = int(event.get("signal", 0))
        self.transcript.exit_s = self._now()
        self.transcript.exit_ns = event.get("t_ns")
        self._sinks.phase("powering off")

    def _on_events(self, event: wire.GuestEvents) -> None:
        self.transcript.events.take(event)

    def _on_guest_error(self, event: wire.Error) -> None:
        self.transcript.guest_error = str(event["message"])

    def _on_answer(self, event: Event) -> None:
        if self._sinks.control is not None:
            self._sinks.control.take(event)
        if self._sinks.live is not None:
            self._sinks.live.answered(event)

    def _on_paused(self, event: wire.Paused) -> None:
        """No guest runs during a pause, so its deadlines stand still."""
        now = time.monotonic()
        if event["paused"] and self._paused_at is None:
            self._paused_at = now
        elif not event["paused"] and self._paused_at is not None:
            self._limit_s += now - self._paused_at
            self._paused_at = None
        self._on_answer(event)

    def _on_result(self, event: wire.Result) -> None:
        self.transcript.result = dict(event)
        if self._sinks.live is not None and self._sinks.live.powering_off:
            self.transcript.exit_code = 0
        self.transcript.events.end(event)

    def _on_error(self, event: wire.Error) -> None:
        self.transcript.worker_error = WorkerError(str(event["kind"]), str(event["message"]))

    def _forward_input(self) -> None:
        for source in (self._sinks.ttys, self._sinks.viewers):
            for message in source.poll() if source is not None else ():
                self._session.send(message)
        if self._sinks.input is None or self.transcript.hello is None:
            return
        # A guest that reads nothing must not keep us from asking the worker to stop.
        if self._stdin_on_the_way >= self._stdin_window:
            return
        for message in self._sinks.input():
            self._session.send(message)
            self._stdin_on_the_way += len(base64.b64decode(message.get("stdin", "")))

    def _forward_requests(self) -> None:
        if self._sinks.control is None:
            return
        for request in self._sinks.control.poll():
            if request["what"] != "stop":
                self._session.send(request)
                continue
            self.transcript.interrupted = "stopped by machine.stop"
            if self._stopping is None:
                self._stop(self.transcript.interrupted)
            self._sinks.control.answer(request["ask"], {})

    def _enough(self) -> bool:
        """Kill the machine if the caller wants it; the deadlines still apply."""
        if self._killed or self._sinks.enough is None or not self._sinks.enough():
            return False
        self._killed = True
        self._session.kill()
        return True

    def _in_time(self) -> bool:
        """Enforce the deadlines; False if even a killed worker's end is overdue."""
        now = time.monotonic()
        if now < self._script_until:
            return True
        if self._stopping is not None:
            return self._sees_it_end(self._stopping)
        if self._paused_at is not None:
            return True
        if self._dying_at is not None and now >= self._dying_at + _GRACE_AFTER_DEATH_S:
            self._stop("the kernel died and did not reset the machine")
        elif not self._out_of_time():
            self._hear_silence()
        return True

    def _sees_it_end(self, stopping: Span) -> bool:
        # After UNRUN this computer was waited for already, and after Ctrl-C the user won't wait.
        given_up = self.transcript.interrupted or self.transcript.deadline is Deadline.UNRUN
        over = stopping.wall_over if given_up else stopping.over
        if over(_RESULT_WAIT_S) and not self.transcript.overdue:
            self.transcript.overdue = True
            self._session.kill()
        return not over(_RESULT_WAIT_S + _END_WAIT_S)

    def _out_of_time(self) -> bool:
        bounded = self._limits.bounded
        begun = not bounded or self.transcript.started_s is not None
        if not begun or not self._whole.wall_over(self._limit_s):
            return False
        if not bounded or self._whole.had(self._limit_s):
            self._expire(Deadline.TOTAL, self._limits.total_s)
        elif self._whole.hopeless(self._limit_s):
            self._expire(Deadline.UNRUN, self._whole.wall_s)
        return self._stopping is not None

    def _hear_silence(self) -> None:
        if self._sinks.live is not None and self._sinks.live.idle:
            self._silence.restart()
            return
        limit_s = self._limits.silence_s
        if self.transcript.started_s is None:
            limit_s *= _SET_UP_TIMES
        if self._silence.had(limit_s):
            self._expire(Deadline.SILENCE, limit_s)
        elif self._silence.hopeless(limit_s):
            self._expire(Deadline.UNRUN, self._silence.wall_s)

    def _expire(self, deadline: Deadline, seconds: float) -> None:
        self.transcript.deadline = deadline
        self.transcript.deadline_s = seconds
        self._stop(f"{deadline.value} deadline of {seconds:.0f} s")

    def _stop(self, why: str) -> None:
        self._stopping = Span(self._session.clock)
        self._session.send({"stop": why})

    def _now(self) -> float:
        return time.monotonic() - self._start
