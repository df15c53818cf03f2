# SPDX-License-Identifier: GPL-2.0-only
"""What a lab host's agent is asked and says: a JSON object a line.

A request that has an ``id`` is answered with it, ``ok`` and what was asked for, or ``error``.
Sessions report unasked; so does ``zygote``, why a VMM could not be imported ahead.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class Request(TypedDict):
    """``ping``, ``info`` and ``poweroff`` say no more than this."""

    op: str
    id: NotRequired[int]


class Hello(Request):
    """A new client: whatever its predecessor ran is killed."""

    nonce: str


class OfSession(Request):
    """``kill``."""

    session: int


class StartWorker(OfSession):
    """``artifact`` is the VMM's folder, ``bundle`` its modules in one file, ``input`` its first
    line."""

    artifact: str
    bundle: str | None
    cwd: str
    input: str


class Exec(OfSession):
    argv: list[str]
    env: dict[str, str]
    cwd: str


class Input(OfSession):
    """A line for a worker."""

    data: str


class Report(TypedDict):
    """One of: a worker's ``event``, a command's ``output`` (base64), a worker's ``stderr``, and the
    last word, ``exit`` (negative: the signal that ended it)."""

    session: int
    event: NotRequired[dict[str, Any]]
    output: NotRequired[str]
    stderr: NotRequired[str]
    exit: NotRequired[int]
