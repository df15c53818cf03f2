# SPDX-License-Identifier: GPL-2.0-only
"""Acts on a machine while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from kvm.control import client
from kvm.errors import UserError
from support.machines import Run

_END_S = 100.0


def meanwhile(name: str, act: Callable[[dict[str, Any]], None], boot: Callable[[], Run]) -> Run:
    """Boot a machine called ``name`` and, in a thread, act on its description of itself.

    If its lab host is lost and it is booted again, it is acted upon again.
    """
    wrong: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        done = None
        while not ended.wait(0.1):
            try:
                facts = client.ask(name, "describe")
            except UserError:
                continue
            if facts["since"] == done:
                continue
            done = facts["since"]
            wrong.clear()
            try:
                act(facts)
            except BaseException as error:
                wrong.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        found = boot()
    finally:
        ended.set()
        thread.join(_END_S)
    assert not wrong, (wrong[0], str(found))
    return found
