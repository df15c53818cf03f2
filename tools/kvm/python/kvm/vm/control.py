# SPDX-License-Identifier: GPL-2.0-only
"""Requests to a running machine: each gets one answer, even if it is malformed.

A request is ``{"ask": NUMBER, "what": WORD, ...}``. Its answer is an event ``answer`` with the
same number and the result, or with ``error``. A pause also has an event of its own, because the
guest's deadlines stand still meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kvm.vm.events import EventWriter
from kvm.vm.machine import Machine, SetupError

if TYPE_CHECKING:
    from kvm.wire import control as wire

Message = Mapping[str, Any]


class Control:
    """``sysrq`` passes a key to the guest's init; it returns whether init can take it.
    ``rewound`` is called when the machine has been put back, before it goes on."""

    def __init__(
        self,
        machine: Machine,
        out: EventWriter,
        sysrq: Callable[[str], bool],
        rewound: Callable[[], None],
    ) -> None:
        self._machine = machine
        self._out = out
        self._sysrq_by_init = sysrq
        self._rewound = rewound
        self._handlers: Mapping[str, Callable[[Any], dict[str, Any] | None]] = {
            "pause": self._pause,
            "resume": self._resume,
            "checkpoint": self._checkpoint,
            "rewind": self._rewind,
            "nmi": self._nmi,
            "sysrq": self._sysrq,
            "balloon": self._balloon,
            "stat": self._stat,
        }

    def serve(self, message: Message) -> None:
        """Answer a request. Never raises: a malformed one gets an error as its answer."""
        try:
            what = str(message["what"])
            if what not in self._handlers:
                raise ValueError(f"a running machine can't be asked for {what!r}")
            answer = self._handlers[what](message)
        except KeyError as missing:
            self._out.send("answer", ask=message.get("ask"), error=f"{missing} is missing")
        except (SetupError, TypeError, ValueError) as error:
            self._out.send("answer", ask=message.get("ask"), error=str(error))
        else:
            self._out.send("answer", ask=message.get("ask"), **(answer or {}))

    def _pause(self, message: wire.Request) -> None:
        self._machine.pause()
        self._out.send("paused", paused=self._machine.paused)

    def _resume(self, message: wire.Request) -> None:
        self._machine.resume()
        self._out.send("paused", paused=False)

    def _checkpoint(self, message: wire.Request) -> None:
        with self._standing_still():
            self._machine.checkpoint()

    def _rewind(self, message: wire.Request) -> None:
        with self._standing_still():
            self._machine.rewind()
            self._rewound()

    @contextlib.contextmanager
    def _standing_still(self) -> Iterator[None]:
        """A pause that nobody need know of, unless there is one already."""
        before = self._machine.paused
        if not before:
            self._machine.pause()
        try:
            yield
        finally:
            if not before:
                self._machine.resume()

    def _nmi(self, message: wire.Nmi) -> None:
        self._machine.nmi(int(message["vcpu"]))

    def _sysrq(self, message: wire.SysRq) -> dict[str, str]:
        key = message["key"]
        if not isinstance(key, str) or len(key) != 1 or not "!" <= key <= "~":
            raise ValueError(f"a SysRq key is one character, not {key!r}")
        if message.get("by") != "serial" and self._sysrq_by_init(key):
            return {"by": "init"}
        self._machine.serial_sysrq(key)
        return {"by": "serial"}

    def _balloon(self, message: wire.Balloon) -> None:
        self._machine.set_balloon(int(message["mib"]))

    def _stat(self, message: wire.Request) -> dict[str, Any]:
        return {
            "paused": self._machine.paused,
            "exits": self._machine.exits(),
            "balloon": self._machine.balloon(),
        }
