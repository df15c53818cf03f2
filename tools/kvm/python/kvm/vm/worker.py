# SPDX-License-Identifier: GPL-2.0-only
"""The process that runs one machine: ``python -m kvm.vm.worker``, JSON lines in and out.

The messages are in ``kvm/wire/worker.py``. The machine ends when the input ends.

Few imports: in a lab host Python's start-up takes longer than a guest's boot.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
from binascii import a2b_base64
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kvm.errors import UserError
from kvm.guest.events import Batch, EventDecoder
from kvm.guest.protocol import (
    MAGIC,
    FrameDecoder,
    FrameType,
    decode_count,
    decode_exit,
    encode,
    encode_fresh,
    encode_run,
    encode_signal,
    encode_stdin,
    encode_winsize,
    parse_hello,
)
from kvm.spec.machine import MachineSpec
from kvm.vm.control import Control
from kvm.vm.events import EventWriter
from kvm.vm.lines import LineReader
from kvm.vm.machine import Machine, SetupError
from kvm.vm.ttys import Ttys
from kvm.vm.viewers import Viewers
from kvm.waiting import write_waiting

if TYPE_CHECKING:
    from kvm.wire import worker as wire

EXIT_OK = 0
EXIT_SETUP = 2
EXIT_STUCK = 3

# How long the vCPUs may take to stop; they need milliseconds unless KVM itself is stuck. In a step
# that took longer, this computer did not run us or them.
_STOP_S = 10.0
_STOP_STEP_S = 0.5
# How long to listen to the silence of a guest that reset in the middle of a message.
_LAST_WORDS_MS = 200
# How long the VMM may take to send what it still holds; once we have read, it does so at once.
_UNSENT_MS = 2000
_READ_BYTES = 64 * 1024
# How much stdin may wait for the guest. If the sender exceeds the limit, we read no input at all,
# including its other messages.
_STDIN_WINDOW_BYTES = 1024 * 1024
_INPUT_LIMIT_BYTES = 4 * 1024 * 1024


class Session:
    """One machine between its start and its result, with all its streams."""

    def __init__(
        self, machine: Machine, run: wire.Command | None, lines: LineReader, out: EventWriter
    ) -> None:
        self._machine = machine
        self._run = run
        if run is not None and "rows" in run:
            machine.resize_console(run["cols"], run["rows"])
        self._lines = lines
        self._out = out
        self._control = Control(machine, out, self._sysrq, self._rewound)
        self._ttys = Ttys(machine.tty_fds, out)
        self._viewers = Viewers(machine, out)
        self._decoders = {
            machine.agent_fd: FrameDecoder(),
            machine.serial_agent_fd: FrameDecoder(),
        }
        self._events = EventDecoder()
        self._agent_fd: int | None = None  # the descriptor on which HELLO came
        self._exited = False
        self._to_guest = bytearray()
        self._stdin_waiting = 0
        self._input_open = True
        self._stop_left_s: float | None = None
        self._stop_detail: str | None = None
        self._poll = select.poll()
        self._handlers: Mapping[str, Callable[[Any], None]] = {
            "run": self._take_run,
            "fresh": self._take_fresh,
            "poweroff": self._take_poweroff,
            "stdin": self._take_stdin,
            "stdin_eof": self._end_stdin,
            "winsize": self._resize,
            "signal": self._take_signal,
            "tty": self._take_tty,
            "viewer": self._take_viewer,
            "ask": self._control.serve,
            "stop": self._take_stop,
        }

    def loop(self) -> None:
        """Carry bytes until the machine has stopped and all its output has been read."""
        self._serve_lines()
        while not self._step():
            pass
        self._drain_guest()

    def result(self) -> dict[str, Any]:
        """The last event, ``result``."""
        stop = self._machine.wait(0)
        assert stop is not None
        log_buf = self._machine.log_buf()
        given = self._stop_detail if stop.reason == "stopped" else None
        offered, seen = self._machine.event_paths
        unsent = EventDecoder().feed(self._machine.unsent_events())
        return {
            "event": "result",
            "stop": stop.reason,
            "detail": given or stop.detail,
            "exits": self._machine.exits(),
            "registers": self._machine.registers(),
            "last_exits": self._machine.last_exits(),
            "log_buf": None if log_buf is None else self._out.text_of(log_buf),
            "t_ns": time.monotonic_ns(),
            "events_offered": offered,
            "events_source": seen,
            "events_unsent": [_batch(batch) for batch in unsent],
            "rss_kib": _peak_rss_kib(),
        }

    def _step(self) -> bool:
        """Wait for an event and serve it; True when the machine has stopped."""
        begun = time.monotonic()
        ready = dict(self._poll_once())
        if self._stop_left_s is not None and self._machine.stopped_fd not in ready:
            self._stop_left_s -= min(time.monotonic() - begun, _STOP_STEP_S)
            if self._stop_left_s <= 0:
                self._end_stuck()
        if ready.pop(self._out.fd, 0):
            self._out.flush()
        if self._lines.fd in ready:
            self._read_input()
        for fd in self._viewers.fds:
            self._serve_viewer(fd, ready.get(fd, 0))
        for fd in self._guest_fds():
            events = ready.get(fd, 0)
            if events & (select.POLLIN | select.POLLHUP):
                self._read_guest(fd)
            if events & select.POLLOUT and fd in self._ttys:
                self._ttys.write(fd)
            elif events & select.POLLOUT:
                self._write_guest()
        if self._machine.stopped_fd in ready:
            return True
        if self._out.closed:
            self._stop("the process that started the machine has gone")
        return False

    def _serve_viewer(self, fd: int, events: int) -> None:
        if events & select.POLLOUT:
            self._viewers.write(fd)
        if events & (select.POLLIN | select.POLLHUP) and fd in self._viewers:
            self._viewers.read(fd, _READ_BYTES)
        if fd not in self._viewers:
            _unregister(self._poll, fd)

    def _guest_fds(self) -> tuple[int, ...]:
        machine = self._machine
        return (machine.console_fd, machine.events_fd, *self._ttys.fds, *self._decoders)

    def _end_stuck(self) -> NoReturn:
        # Closing the machine would wait for its threads, so end the process.
        message = f"KVM_RUN: the vCPUs did not stop within {_STOP_S:g} s"
        self._out.send("error", kind="kvm", message=message)
        self._out.flush_all()
        os._exit(EXIT_STUCK)

    def _poll_once(self) -> list[tuple[int, int]]:
        self._watch(self._lines.fd, self._input_open and self._has_room())
        self._watch(self._machine.stopped_fd, True)
        listening = not self._out.full
        self._watch(self._machine.console_fd, listening)
        self._watch(self._machine.events_fd, listening)
        for fd in self._decoders:
            wants_out = fd == self._agent_fd and bool(self._to_guest)
            self._watch(fd, listening, wants_out)
        for fd in self._ttys.fds:
            self._watch(fd, listening, self._ttys.wants_out(fd))
        for fd in self._viewers.fds:
            self._watch(fd, listening, self._viewers.wants_out(fd))
        self._watch(self._out.fd, False, self._out.pending)
        return self._poll.poll(None if self._stop_left_s is None else _STOP_STEP_S * 1000)

    def _watch(self, fd: int, readable: bool, writable: bool = False) -> None:
        events = (select.POLLIN if readable else 0) | (select.POLLOUT if writable else 0)
        if events:
            self._poll.register(fd, events)
        else:
            # Unregistered rather than watched for no events: its hang-up would be reported
            # repeatedly.
            _unregister(self._poll, fd)

    def _has_room(self) -> bool:
        return len(self._to_guest) < _INPUT_LIMIT_BYTES

    def _read_input(self) -> None:
        if not self._lines.fill():
            self._input_open = False
            self._stop("the process that started the machine has gone")
        self._serve_lines()

    def _serve_lines(self) -> None:
        for line in self._lines.take():
            self._serve(json.loads(line))

    def _serve(self, message: Mapping[str, Any]) -> None:
        """Handle a message, whose kind is the first known word in it."""
        word = next((word for word in self._handlers if word in message), None)
        if word is not None:
            self._handlers[word](message)

    def _take_run(self, message: wire.Run) -> None:
        self._run = message["run"]
        self._exited = False
        if self._agent_fd is not None:
            self._to_guest += _encode_run(self._run)
            self._write_guest()

    def _take_fresh(self, message: wire.Fresh) -> None:
        if self._agent_fd is not None:
            time_ns, random = message["fresh"]
            self._to_guest += encode_fresh(time_ns, a2b_base64(random))
            self._write_guest()

    def _take_poweroff(self, message: wire.PowerOff) -> None:
        self._exited = True  # its end is no surprise
        if self._agent_fd is not None:
            self._to_guest += encode(FrameType.POWEROFF)
            self._write_guest()

    def _take_stdin(self, message: wire.Stdin) -> None:
        data = a2b_base64(message["stdin"])
        self._to_guest += encode_stdin(data)
        self._stdin_waiting += len(data)

    def _end_stdin(self, message: wire.StdinEnd) -> None:
        self._to_guest += encode(FrameType.STDIN_EOF)

    def _take_signal(self, message: wire.Signal) -> None:
        self._to_guest += encode_signal(message["signal"])

    def _take_tty(self, message: wire.TtyInput) -> None:
        self._ttys.send(int(message["tty"]), a2b_base64(message["data"]))

    def _take_stop(self, message: wire.Stop) -> None:
        self._stop(str(message["stop"]))

    def _take_viewer(self, message: wire.ViewerInput) -> None:
        self._viewers.serve(message, a2b_base64(message.get("data", "")))

    def _sysrq(self, key: str) -> bool:
        if self._agent_fd is None or self._exited:
            return False
        self._to_guest += encode(FrameType.SYSRQ, key.encode())
        self._write_guest()
        return True

    def _rewound(self) -> None:
        """The machine is at its checkpoint again: what its agent has said since is void."""
        for fd in (self._machine.console_fd, self._machine.events_fd):
            while self._read_guest(fd):
                pass
        for fd in self._decoders:
            with contextlib.suppress(BlockingIOError):
                while os.read(fd, _READ_BYTES):
                    pass
            self._decoders[fd] = FrameDecoder()
        if self._agent_fd is not None:
            self._decoders[self._agent_fd].feed(MAGIC)  # it has said that long ago
        self._to_guest.clear()
        self._stdin_waiting = 0
        self._run = None
        self._exited = False

    def _resize(self, message: wire.WindowSize) -> None:
        rows, cols = message["winsize"]
        self._machine.resize_console(cols, rows)
        if self._agent_fd is None and self._run is not None:
            self._run["rows"], self._run["cols"] = rows, cols
        else:
            self._to_guest += encode_winsize(rows, cols)

    def _stop(self, detail: str) -> None:
        if self._stop_detail is None:
            self._stop_detail = detail
            self._stop_left_s = _STOP_S
            self._machine.stop()

    def _read_guest(self, fd: int) -> bool:
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            return False
        if fd == self._machine.console_fd:
            self._out.send("console", data=data)
        elif fd in self._ttys:
            self._ttys.pass_on(fd, data)
        elif fd == self._machine.events_fd:
            for batch in self._events.feed(data):
                self._out.send("events", **_batch(batch))
        else:
            self._decode(fd, data)
        return True

    def _decode(self, fd: int, data: bytes) -> None:
        for frame in self._decoders[fd].feed(data):
            if frame.type is FrameType.HELLO:
                self._greet(fd, frame.payload)
            elif fd != self._agent_fd and frame.type is not FrameType.ERROR:
                continue
            elif frame.type is FrameType.STDOUT:
                self._out.send("stdout", data=frame.payload)
            elif frame.type is FrameType.STDERR:
                self._out.send("stderr", data=frame.payload)
            elif frame.type is FrameType.EXIT:
                self._finish(frame.payload)
            elif frame.type is FrameType.STDIN_READ:
                self._out.send("stdin_read", bytes=decode_count(frame.payload))
            elif frame.type is FrameType.HEARTBEAT:
                self._out.send("heartbeat")
            elif frame.type is FrameType.ERROR:
                message = frame.payload.decode("utf-8", "replace")
                self._out.send("guest_error", message=message)

    def _greet(self, fd: int, payload: bytes) -> None:
        self._out.send("hello", t_ns=time.monotonic_ns(), info=parse_hello(payload))
        if self._agent_fd is not None:
            return
        self._agent_fd = fd
        if self._run is not None:
            self._to_guest[:0] = _encode_run(self._run)
            self._write_guest()

    def _finish(self, payload: bytes) -> None:
        try:
            status = decode_exit(payload)
        except ValueError as error:
            self._out.send("guest_error", message=str(error))
            return
        self._out.send("exit", code=status.code, signal=status.signal, t_ns=time.monotonic_ns())
        if self._run is not None and self._run.get("stay", False):
            return
        self._exited = True
        # The guest's init waits a moment for this answer, which says that EXIT has arrived.
        self._to_guest[:] = encode(FrameType.POWEROFF)
        self._write_guest()

    def _write_guest(self) -> None:
        assert self._agent_fd is not None
        try:
            write_waiting(self._agent_fd, self._to_guest)
        except OSError:
            self._to_guest.clear()  # the guest's end is closed: it will not be read
        if self._stdin_waiting and not self._to_guest:
            self._out.send("stdin_taken", bytes=self._stdin_waiting)
            self._stdin_waiting = 0

    def _drain_guest(self) -> None:
        # Behind a full socket more may wait in the VMM and in the guest's virtqueues, which the VMM
        # processes while we read. EXIT is the last of it.
        unfinished = self._agent_fd is not None and self._run is not None and not self._exited
        idle_ms = _LAST_WORDS_MS if unfinished else 0
        guest = select.poll()
        for fd in self._guest_fds():
            guest.register(fd, select.POLLIN)
        while True:
            # Checked before the sockets: what was sent since then is in them.
            unsent = self._machine.output_unsent
            ready = guest.poll(_UNSENT_MS if unsent else idle_ms)
            # Read every one: any() alone would stop at the first that has something.
            read = [self._read_guest(fd) for fd, _ in ready]
            if not any(read):
                return
            self._out.flush_all()


def _tell_script(out: EventWriter, program: str, limit_s: float) -> None:
    out.send("script", program=program, limit_s=limit_s)
    out.flush_all()  # nothing else is sent while it runs


def _batch(batch: Batch) -> dict[str, Any]:
    return {
        "t_ns": batch.received_ns,
        "sent_ns": batch.sent_ns,
        "lost": batch.lost,
        "refused": batch.refused,
        "events": [[e.time_ns, e.kind, e.value, e.name] for e in batch.events],
    }


def _encode_run(run: wire.Command) -> bytes:
    return encode_run(
        run["argv"],
        run.get("env") or {},
        bool(run.get("tty", False)),
        int(run.get("rows", 24)),
        int(run.get("cols", 80)),
        count_input=not run.get("tty", False),
        stay=run.get("stay", False),
    )


def _unregister(poll: select.poll, fd: int) -> None:
    try:
        poll.unregister(fd)
    except KeyError:
        pass  # it was not watched


def _peak_rss_kib() -> int:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    except OSError:
        pass  # no /proc in this lab host
    return 0


def main(stdin_fd: int = 0, stdout_fd: int = 1) -> int:
    """Run the machine that the first line describes; return the process's exit code."""
    begun_ns = time.monotonic_ns()
    lines, out = LineReader(stdin_fd), EventWriter(stdout_fd)
    first = lines.first()
    if first is None:
        return EXIT_OK  # no machine is wanted any more
    try:
        request: wire.Start = json.loads(first)
        spec = MachineSpec.from_json(request["spec"])
        run = request.get("run")
        machine = Machine(spec, partial(_tell_script, out))
    except (SetupError, UserError, KeyError, ValueError) as error:
        kind = error.kind.value if isinstance(error, SetupError) else "config"
        out.send("error", kind=kind, message=str(error))
        out.flush_all()
        return EXIT_SETUP
    with machine:
        session = Session(machine, run, lines, out)
        machine.start()
        started_ns = machine.started_ns
        out.send(
            "started",
            t_ns=started_ns,
            setup_ns=started_ns - begun_ns,
            load_ns=machine.load_ns,
            stdin_window=_STDIN_WINDOW_BYTES,
        )
        session.loop()
        result = session.result()
        # Before the result: our parent may end this process as soon as it has that.
        machine.take_down_taps()
        out.send_record(result)
        out.flush_all()
    return EXIT_OK


if __name__ == "__main__":
    import signal

    # Ctrl-C reaches the whole foreground group; the parent decides and closes our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main())
