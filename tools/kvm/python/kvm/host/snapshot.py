# SPDX-License-Identifier: GPL-2.0-only
"""A machine that is saved together with its lab host: booted, paused, and waiting for a command.

Each lab host that goes on from there has a clone of it. Nothing of its devices need be saved for
that, as they are processes and memory of the lab host; but it can't have files of the developer's
machine open, because a lab host with something mounted can't be saved.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from kvm.errors import InfrastructureError
from kvm.guest.initramfs import ExtraFile
from kvm.host.base import Event, Session
from kvm.host.given import Span
from kvm.verdict.console import parse_console

# The number of its session, for every client. A client's own sessions have higher ones.
SESSION = 0
_PAUSE, _CHECKPOINT = 0, 1  # the numbers of our requests to it
_ENTROPY_BYTES = 64
_QUIET_S = 0.1  # nothing is on its way any more
_TICK_S = 0.02
# What a later client shall hear of the boot. The rest was about a request, or about our command.
_OF_THE_BOOT = ("started", "hello", "console", "events", "guest_error")


class Use(Enum):
    """A saved machine is used if there is one, made whether there is one or not, or needed."""

    IF_SAVED = "if saved"
    MAKE = "make"
    NEED = "need"


@dataclass(frozen=True, slots=True)
class BootedMachine:
    """A machine to be saved. ``spec`` is for its VMM, which opens ``files`` when it starts: it gets
    copies of them, and of the ``libraries`` that it loads for this machine. A file that changes has
    another name, except for the ``users``.

    ``command`` runs in it before it is saved; ``on_output`` gets what that writes, and the name of
    the stream. A ``nonce`` stands for all that the machine is made of: it is that of one, and of no
    other that was made alike. ``hint`` says how to make it.
    """

    spec: Event = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    libraries: tuple[ExtraFile, ...] = ()
    users: tuple[Path, ...] = ()
    use: Use = Use.IF_SAVED
    command: Event | None = None
    nonce: str = ""
    hint: str = ""
    on_output: Callable[[str, bytes], None] = lambda stream, data: None

    @property
    def rewindable(self) -> bool:
        return bool(self.spec.get("rewindable", False))

    @property
    def key(self) -> str:
        """16 hexadecimal digits for all that it is made of, beside its kernel and its VMM."""
        words = self.nonce
        if not words:
            stamps = [(info.st_size, info.st_mtime_ns) for info in map(os.stat, self.users)]
            words = json.dumps([self.spec, stamps], sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()[:16]


class NotBooted(InfrastructureError):
    """The machine did not come as far as to be saved, and why."""


def boot(session: Session, wanted: BootedMachine, limit_s: float) -> tuple[Event, ...]:
    """Follow a machine until it can be saved; it is paused then. Returns the events of its boot.

    Raises ``NotBooted``, ``HostLost``.
    """
    following = _Following(session, wanted)
    span = Span(session.clock)
    for event in session.events(_TICK_S):
        if event is not None:
            following.take(event)
        if following.quiet:
            return following.heard()
        if span.over(limit_s):
            raise NotBooted(f"it was not ready after {limit_s:g} s")
    raise NotBooted("its VMM ended")


def fresh() -> tuple[int, str]:
    """What makes a clone no twin of others: the time, and random bytes (base64)."""
    return time.time_ns(), base64.b64encode(secrets.token_bytes(_ENTROPY_BYTES)).decode()


class _Following:
    """Asks the machine for the next step whenever it has done one: hello, command, pause."""

    def __init__(self, session: Session, wanted: BootedMachine) -> None:
        self._session = session
        self._wanted = wanted
        self._events: list[Event] = []
        self._done = False
        self._last = 0.0

    @property
    def quiet(self) -> bool:
        return self._done and time.monotonic() - self._last >= _QUIET_S

    def take(self, event: Event) -> None:
        self._last = time.monotonic()
        kind = event["event"]
        if kind in _OF_THE_BOOT:
            self._events.append(event)
        if kind == "hello":
            self._begin_command()
        elif kind in ("stdout", "stderr"):
            self._wanted.on_output(kind, base64.b64decode(event["data"]))
        elif kind == "exit":
            self._end_command(int(event["code"]))
        elif kind == "paused":
            self._stand_still()
        elif kind in ("error", "guest_error"):
            raise NotBooted(str(event["message"]))
        elif kind == "answer" and "error" in event:
            raise NotBooted(f"it can't be paused: {event['error']}")
        elif kind == "answer" and event["ask"] == _CHECKPOINT:
            self._done = True

    def heard(self) -> tuple[Event, ...]:
        """The events of the boot. A kernel that complains may not do so at each boot."""
        console = b"".join(
            base64.b64decode(event["data"]) for event in self._events if event["event"] == "console"
        )
        if complaints := parse_console(console.decode(errors="replace")):
            raise NotBooted(f"its kernel complained ({complaints[0].title})")
        return tuple(self._events)

    def _begin_command(self) -> None:
        if self._wanted.command is None:
            self._session.send({"ask": _PAUSE, "what": "pause"})
        else:
            self._session.send({"run": {**self._wanted.command, "stay": True}})
            self._session.send({"stdin_eof": True})

    def _end_command(self, code: int) -> None:
        if code:
            raise NotBooted(f"its command ended with {code}")
        self._session.send({"ask": _PAUSE, "what": "pause"})

    def _stand_still(self) -> None:
        """A rewindable machine gets its checkpoint now, so that clones go on at this very time."""
        if self._wanted.rewindable:
            self._session.send({"ask": _CHECKPOINT, "what": "checkpoint"})
        else:
            self._done = True
