# SPDX-License-Identifier: GPL-2.0-only
"""The messages to and from a lab host's agent: one JSON object a line.

The answer to a request with an ``id`` has the same ``id``, and ``ok`` with the result, or
``error``. Reports of sessions come unrequested; so does ``zygote``, why a VMM could not be imported
ahead.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class Request(TypedDict):
    """``ping``, ``info`` and ``poweroff`` have no other fields."""

    op: str
    id: NotRequired[int]


class Hello(Request):
    """A new client: everything that the previous one ran is killed."""

    nonce: str


class Fetch(Request):
    """Comes before ``prepare``: files to copy into memory, each as its path there and its path
    here."""

    files: list[str]


class Preload(Fetch):
    """A VMM to keep in memory, by its folder and its bundle. ``files`` are those that its import
    reads."""

    artifact: str
    bundle: str


class Insert(Request):
    """Comes before ``prepare``: the kernel's modules, in the order of their insertion."""

    modules: list[str]


class Prepare(Request):
    """The first request of a client with machines: the time (nanoseconds), ``entropy``
    (hexadecimal digits), the folder that both sides write, ``exports`` as TAG:PATH, and the
    ``modules`` that are not inserted yet.
    ``preload`` is a VMM's folder and bundle (or nothing), ``prefetch`` are files that will be
    read soon."""

    time_ns: int
    entropy: str
    share: str
    exports: list[str]
    modules: list[str]
    preload: list[str]
    prefetch: list[str]


class OfSession(Request):
    """``kill``, and the base of others."""

    session: int


class Keep(OfSession):
    """Later clients will find this session as it is; ``files`` that were fetched for it are not
    needed any more."""

    files: list[str]


class StartWorker(OfSession):
    """``artifact`` is the VMM's folder, ``bundle`` its modules in one file, ``input`` its first
    line of input."""

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
    last one, ``exit`` (negative: the signal that ended it)."""

    session: int
    event: NotRequired[dict[str, Any]]
    output: NotRequired[str]
    stderr: NotRequired[str]
    exit: NotRequired[int]
