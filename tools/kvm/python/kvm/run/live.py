# SPDX-License-Identifier: GPL-2.0-only
"""A guest that runs one command after another, for a caller that decides as it goes: a test.

A thread of its own drives the machine, by the same stages as any boot, so that whatever the guest's
kernel says meanwhile is judged at the end. The caller's thread gives it commands.
"""

from __future__ import annotations

import base64
import contextlib
import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kvm.errors import InfrastructureError
from kvm.host import snapshot
from kvm.host.base import Host, HostLost, Session
from kvm.run.boot import Streams
from kvm.run.record import RunRecord
from kvm.verdict.console import parse_console

_CHUNK_BYTES = 48 * 1024
_SIGKILL = 9
_ASK = -1  # the number of our requests; those of others are positive
_ANSWER_S = 30.0
_HAS_ONE = "this machine has a checkpoint already"  # machine/rewind.cpp
_KILL_S = 10.0
_SAID_BYTES = 1 << 20  # more is not read again after each command
_END_S = 60.0


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended: its exit code (128 + ``signal`` if one ended it) and its output."""

    code: int
    signal: int
    stdout: str
    stderr: str


class MachineEnded(InfrastructureError):
    """The machine ended while it was needed: its kernel died, or its host did."""


class CommandTimeout(InfrastructureError):
    """A command took longer than allowed, and was killed. ``done`` is what there was of it."""

    def __init__(self, argv: Sequence[str], timeout_s: float, done: Done) -> None:
        super().__init__(f"`{shlex.join(argv)}` took longer than {timeout_s:g} s, and was killed")
        self.done = done


class Commands:
    """What passes between the thread that drives a machine and the one that gives it commands."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._session: Session | None = None
        self._ready = False
        self._over = False
        self._running = False
        self._powering_off = False
        self._exit = (0, 0)
        self._answer: dict[str, Any] | None = None
        self._host: Host | None = None
        self._host_said = 0
        self._said = bytearray()  # by the guest's kernel since the checkpoint
        self._output = {"stdout": bytearray(), "stderr": bytearray()}

    # The driver's side

    @property
    def streams(self) -> Streams:
        return Streams(
            lambda data: self._take("stdout", data), lambda data: self._take("stderr", data)
        )

    def started(self, session: Session) -> None:
        with self._changed:
            self._session = session

    def hosted(self, host: Host) -> None:
        self._host = host

    def spoke(self, data: bytes) -> None:
        self._said += data

    def answered(self, event: Mapping[str, Any]) -> None:
        if event.get("ask") == _ASK:
            with self._changed:
                self._answer = dict(event)
                self._changed.notify_all()

    def ready(self) -> None:
        """The guest's init waits for a command."""
        with self._changed:
            self._ready = True
            self._changed.notify_all()

    def exited(self, code: int, signal: int) -> None:
        with self._changed:
            self._exit, self._running = (code, signal), False
            self._changed.notify_all()

    def over(self) -> None:
        """The machine has ended."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    @property
    def idle(self) -> bool:
        """Whether the guest has nothing to do, so that its silence is no hang."""
        return self._ready and not self._running and not self._powering_off

    @property
    def powering_off(self) -> bool:
        """Whether the guest was told to end: that it does so is right."""
        return self._powering_off

    # The caller's side

    def await_ready(self) -> bool:
        """Whether a command can be given; the driver's deadlines hold meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._over)
            return not self._over

    def run(
        self, argv: Sequence[str], env: Mapping[str, str], stdin: bytes, timeout_s: float
    ) -> Done | None:
        """Run a command to its end; None if the machine ended first. Raises ``CommandTimeout``."""
        __tracebackhide__ = True
        with self._changed:
            if self._over or self._session is None:
                return None
            self._running = True
            for kept in self._output.values():
                kept.clear()
        self._send({"run": {"argv": list(argv), "env": dict(env), "stay": True}})
        for at in range(0, len(stdin), _CHUNK_BYTES):
            chunk = base64.b64encode(stdin[at : at + _CHUNK_BYTES]).decode()
            self._send({"stdin": chunk})
        self._send({"stdin_eof": True})
        in_time = self._await_exit(timeout_s)
        if not in_time:
            self._send({"signal": _SIGKILL})
            self._await_exit(_KILL_S)
        with self._changed:
            if self._over:
                return None
            texts = [bytes(kept).decode(errors="replace") for kept in self._output.values()]
            done = Done(*self._exit, *texts)
        if not in_time:
            raise CommandTimeout(argv, timeout_s, done)
        return done

    def checkpoint(self) -> str:
        """Keep the machine's state; why that can't be, or empty."""
        why = self._ask("checkpoint")
        if why == _HAS_ONE:
            why = ""  # a clone has that of its snapshot
        self._said.clear()
        self._host_said = self._host_words()
        return why

    def rewind(self) -> bool:
        """Put it back, unless a kernel has complained since: then it is to be judged.

        The guest's kernel forgets what it has printed; the host's does not, so it must not have
        printed anything.
        """
        with self._changed:
            usable = self._content and not self._over and not self._running
        if not usable or self._host_words() != self._host_said or self._ask("rewind"):
            return False
        usable = self._content
        self._said.clear()
        self._send({"fresh": snapshot.fresh()})
        return usable

    @property
    def _content(self) -> bool:
        """Whether the guest's kernel has not complained since the checkpoint."""
        said = bytes(self._said)
        return len(said) <= _SAID_BYTES and said[-1:] in (b"", b"\n") and not parse_console(said)

    def _ask(self, what: str) -> str:
        """Why the worker could not do it, or empty."""
        with self._changed:
            if self._over or self._session is None:
                return "the machine has ended"
            self._answer = None
        self._send({"ask": _ASK, "what": what})
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._answer is not None, _ANSWER_S)
            if self._answer is None:
                return "its VMM gave no answer"
            return str(self._answer.get("error", ""))

    def _host_words(self) -> int:
        """How much the lab host's kernel has printed."""
        return 0 if self._host is None else len(self._host.console)

    def power_off(self) -> None:
        with self._changed:
            self._powering_off = True
            session = None if self._over else self._session
        if session is not None:
            session.send({"poweroff": True})

    def stop(self) -> None:
        """End the machine at once."""
        if self._session is not None and not self._over:
            self._session.send({"stop": "the caller has given up"})

    def _await_exit(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._over or not self._running, timeout_s)

    def _send(self, message: dict[str, object]) -> None:
        assert self._session is not None
        self._session.send(message)

    def _take(self, stream: str, data: bytes) -> None:
        with self._changed:
            self._output[stream] += data


class LiveGuest:
    """A machine that was started, or goes on from a saved one. Call ``end`` at the end.

    ``ended_early``: a ``MachineEnded`` has told so.
    """

    def __init__(self, boot: Callable[[Commands], RunRecord]) -> None:
        """Start it; ``boot`` makes its record, on a thread. Raises ``MachineEnded``."""
        self._commands = Commands()
        self._boot = boot
        self._record: RunRecord | None = None
        self._failed: BaseException | None = None
        self.ended_early = False
        self._thread = threading.Thread(target=self._drive, name="machine", daemon=True)
        self._thread.start()
        if not self._commands.await_ready():
            raise self._ended()

    def run(
        self,
        command: str | Sequence[str],
        *,
        stdin: str | bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
    ) -> Done:
        """Run a command, or a line of shell, to its end.

        Raises ``CommandTimeout``, and ``MachineEnded`` with the verdict if the machine dies.
        """
        __tracebackhide__ = True  # pytest shows the caller's line
        argv = ("sh", "-c", command) if isinstance(command, str) else tuple(command)
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = self._commands.run(argv, env or {}, data, timeout_s)
        if done is None:
            raise self._ended()
        return done

    def checkpoint(self) -> str:
        """Keep the machine as it is, for ``rewind``; why that can't be, or empty.

        Call it once, when no command runs. It needs a rewindable machine.
        """
        return self._commands.checkpoint()

    def rewind(self) -> bool:
        """Put the machine back to its checkpoint, with other random numbers and the time of now.

        False if that can't be or must not be, because a kernel has complained since: then ``end``
        it.
        """
        return self._commands.rewind()

    def end(self) -> RunRecord:
        """Let it power off; the record of the whole run, with the verdict on its kernel."""
        with contextlib.suppress(HostLost):  # the thread will say so
            self._commands.power_off()
        self._thread.join(_END_S)
        if self._thread.is_alive():
            with contextlib.suppress(HostLost):
                self._commands.stop()
            self._thread.join(_END_S)
        if self._record is None:
            raise self._ended()
        return self._record

    def _drive(self) -> None:
        try:
            self._record = self._boot(self._commands)
        except BaseException as failed:
            self._failed = failed
        finally:
            self._commands.over()

    def _ended(self) -> BaseException:
        self.ended_early = True
        self._thread.join(_END_S)
        if self._failed is not None:
            return self._failed
        if self._record is None:
            return MachineEnded("the machine does not end")
        outcome = self._record.outcome
        lines = [line for item in outcome.evidence for line in (f"{item.kind}:", *item.lines)]
        why = f"{outcome.verdict.value} {outcome.reason.value}: {outcome.summary}"
        return MachineEnded("\n".join([f"the machine has ended: {why}", *lines]))
