# SPDX-License-Identifier: GPL-2.0-only
"""What may be asked of a running machine: on its control socket, and on to its worker.

A client's ``what`` is one of ``describe``, which the process that drives the machine answers,
``stop``, which it does, and those of ``vm/control.py``. An answer has what was asked for, or
``error``.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class Request(TypedDict):
    """``ask`` is the number that the answer will have; a client sends none."""

    what: str
    ask: NotRequired[int]


class Nmi(Request):
    vcpu: int


class SysRq(Request):
    """``by``: past the guest's init in any case, or through it if it listens."""

    key: str
    by: NotRequired[Literal["init", "serial"]]


class Balloon(Request):
    mib: int
