# SPDX-License-Identifier: GPL-2.0-only
"""The messages to and from a VMM worker: one JSON object a line, bytes in base64.

The first line in is a ``Start``. The kind of a later one is its first key, or ``ask``
(``wire/control.py``).
The kind of an event out is its ``event``. A worker of another commit may know fewer of either.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

# In


class Start(TypedDict):
    """``spec`` is ``MachineSpec.to_json()``; ``run`` is the guest command, if there is one."""

    spec: dict[str, Any]
    run: Command | None


class Command(TypedDict):
    """``tty``: it gets a terminal of this size. ``stay``: another one will follow."""

    argv: list[str]
    env: NotRequired[dict[str, str]]
    tty: NotRequired[bool]
    rows: NotRequired[int]
    cols: NotRequired[int]
    stay: NotRequired[bool]


class Run(TypedDict):
    """A command for a guest that has none: ``Start`` had none, or the last one stayed."""

    run: Command


class Fresh(TypedDict):
    """The machine goes on from a saved one: the time (nanoseconds), and random bytes (base64)."""

    fresh: tuple[int, str]


class PowerOff(TypedDict):
    """The guest shall end: no further command will come."""

    poweroff: bool


class Stdin(TypedDict):
    stdin: str


class StdinEnd(TypedDict):
    stdin_eof: bool


class WindowSize(TypedDict):
    """Rows and columns."""

    winsize: tuple[int, int]


class Signal(TypedDict):
    signal: int


class TtyInput(TypedDict):
    """Bytes for the user's serial line of this number."""

    tty: int
    data: str


class ViewerInput(TypedDict):
    """Bytes from a viewer of the display, or that it has gone."""

    viewer: int
    data: NotRequired[str]
    closed: NotRequired[bool]


class Stop(TypedDict):
    """Stop the machine; the field says why."""

    stop: str


# Out


class Started(TypedDict):
    """Times are nanoseconds of the worker's clock; ``stdin_window`` is how many bytes of stdin may
    be in flight."""

    event: Literal["started"]
    t_ns: int
    setup_ns: int
    load_ns: int
    stdin_window: NotRequired[int]


class Bytes(TypedDict):
    """Output of the guest's kernel or command."""

    event: Literal["console", "stdout", "stderr"]
    data: str


class TtyOutput(TypedDict):
    event: Literal["tty"]
    line: int
    data: str


class ViewerOutput(TypedDict):
    event: Literal["viewer"]
    viewer: int
    data: NotRequired[str]
    closed: NotRequired[bool]


class Script(TypedDict):
    """A user's program runs now, for at most ``limit_s``."""

    event: Literal["script"]
    program: str
    limit_s: float


class Hello(TypedDict):
    """The guest's init is up; ``info`` describes it."""

    event: Literal["hello"]
    t_ns: NotRequired[int]
    info: dict[str, str]


class StdinCount(TypedDict):
    """``stdin_taken``: this many bytes have gone to the guest; ``stdin_read``: the command has read
    this many in all."""

    event: Literal["stdin_taken", "stdin_read"]
    bytes: int


class Heartbeat(TypedDict):
    event: Literal["heartbeat"]


class Exit(TypedDict):
    """The guest command has ended."""

    event: Literal["exit"]
    code: int
    signal: NotRequired[int]
    t_ns: NotRequired[int]


class GuestEvents(TypedDict):
    """A batch of the guest kernel's own events: [time_ns, kind, value, name] each."""

    event: Literal["events"]
    t_ns: int
    sent_ns: int
    lost: int
    refused: int
    events: list[tuple[int, str, int, str]]


class Error(TypedDict):
    """``guest_error``: the guest's init could not do its work. ``error``: there is no machine;
    ``kind`` is the part of its set-up that failed."""

    event: Literal["guest_error", "error"]
    kind: NotRequired[str]
    message: str


class Paused(TypedDict):
    event: Literal["paused"]
    paused: bool


class Result(TypedDict):
    """The last event; see ``vm/worker.py:Session.result``."""

    event: Literal["result"]
    stop: str
    detail: str
    exits: dict[str, dict[str, int]]
    registers: list[dict[str, int]]
    last_exits: list[str]
    log_buf: str | None
    t_ns: int
    events_offered: str
    events_source: str
    events_unsent: list[dict[str, Any]]
    rss_kib: int
