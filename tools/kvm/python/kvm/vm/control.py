# SPDX-License-Identifier: GPL-2.0-only
"""What can be asked of a running machine: each request gets one answer, right or wrong.

A request is ``{"ask": NUMBER, "what": WORD, ...}``, its answer an event ``answer`` with the same
number and what was asked for, or with ``error``. A pause is told by an event of its own too: the
guest's deadlines stand still meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kvm.vm.events import EventWriter
from kvm.vm.machine import Machine, SetupError

Message = Mapping[str, Any]


class Control:
    """``sysrq`` gives a key to the guest's init, and says whether there is one to take it."""

    def __init__(self, machine: Machine, out: EventWriter, sysrq: Callable[[str], bool]) -> None:
        self._machine = machine
        self._out = out
        self._sysrq_by_init = sysrq

    def serve(self, message: Message) -> None:
        """Never raises: who asks nonsense is told so."""
        try:
            what = str(message["what"])
            handler = getattr(self, f"_on_{what}", None)
            if handler is None:
                raise ValueError(f"a running machine can't be asked for {what!r}")
            answer = handler(message)
        except KeyError as missing:
            self._out.send("answer", ask=message.get("ask"), error=f"{missing} is missing")
        except (SetupError, TypeError, ValueError) as error:
            self._out.send("answer", ask=message.get("ask"), error=str(error))
        else:
            self._out.send("answer", ask=message.get("ask"), **(answer or {}))

    def _on_pause(self, message: Message) -> None:
        self._machine.pause()
        self._out.send("paused", paused=self._machine.paused)

    def _on_resume(self, message: Message) -> None:
        self._machine.resume()
        self._out.send("paused", paused=False)

    def _on_nmi(self, message: Message) -> None:
        self._machine.nmi(int(message["vcpu"]))

    def _on_sysrq(self, message: Message) -> dict[str, str]:
        key = message["key"]
        if not isinstance(key, str) or len(key) != 1 or not "!" <= key <= "~":
            raise ValueError(f"a SysRq key is one character, not {key!r}")
        if message.get("by") != "serial" and self._sysrq_by_init(key):
            return {"by": "init"}
        self._machine.serial_sysrq(key)
        return {"by": "serial"}

    def _on_balloon(self, message: Message) -> None:
        self._machine.set_balloon(int(message["mib"]))

    def _on_stat(self, message: Message) -> dict[str, Any]:
        return {
            "paused": self._machine.paused,
            "exits": self._machine.exits(),
            "balloon": self._machine.balloon(),
        }
