# SPDX-License-Identifier: GPL-2.0-only
"""What a VMM worker is told and tells: a JSON object a line, bytes in base64.

The first line in is a ``Start``. A later one is known by its first key, or by ``ask``
(``wire/control.py``).
Events out are known by their ``event``. A worker of another commit may know fewer of either.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

# In


class Start(TypedDict):
    """``spec`` is ``MachineSpec.to_json()``; ``run`` is the guest command, if there is one."""

    spec: dict[str, Any]
    run: Command | None


class Command(TypedDict):
    """``tty``: it gets a terminal, of so many rows and columns."""

    argv: list[str]
    env: NotRequired[dict[str, str]]
    tty: NotRequired[bool]
    rows: NotRequired[int]
    cols: NotRequired[int]


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
    """Bytes of a viewer of the display, or that it has gone."""

    viewer: int
    data: NotRequired[str]
    closed: NotRequired[bool]


class Stop(TypedDict):
    """Why the machine is to be stopped."""

    stop: str


# Out


class Started(TypedDict):
    """Times are nanoseconds of the worker's clock; ``stdin_window`` is how many bytes of stdin may
    be on the way."""

    event: Literal["started"]
    t_ns: int
    setup_ns: int
    load_ns: int
    stdin_window: NotRequired[int]


class Bytes(TypedDict):
    """What the guest's kernel or command wrote."""

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
    """A program of the user's runs now, for ``limit_s`` at most."""

    event: Literal["script"]
    program: str
    limit_s: float


class Hello(TypedDict):
    """The guest's init is up; ``info`` is what it says of itself."""

    event: Literal["hello"]
    t_ns: NotRequired[int]
    info: dict[str, str]


class StdinCount(TypedDict):
    """``stdin_taken``: so many bytes have gone to the guest; ``stdin_read``: so many has the
    command read in all."""

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
    ``kind`` is which part of setting it up failed."""

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
