# SPDX-License-Identifier: GPL-2.0-only
"""The requests to a running machine, to its control socket and from there to its worker.

A client's ``what`` is one of ``describe``, which the process that drives the machine answers,
``stop``, which it carries out, and those of ``vm/control.py``. An answer has the result, or
``error``.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class Request(TypedDict):
    """``ask`` is the number of the answer; a client sends none."""

    what: str
    ask: NotRequired[int]


class Nmi(Request):
    vcpu: int


class SysRq(Request):
    """``by``: ``serial`` bypasses the guest's init; otherwise init gets the key if it listens."""

    key: str
    by: NotRequired[Literal["init", "serial"]]


class Balloon(Request):
    mib: int
