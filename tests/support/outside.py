# SPDX-License-Identifier: GPL-2.0-only
"""A server outside of all guests, which they reach by a user network."""

from __future__ import annotations

import socket
import threading

import pytest


class Answering:
    """A server on this machine, at a port of its own, that greets each client."""

    def __init__(self, address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.socket(family)
        self._listener.bind((address, 0))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        self.callers = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                caller = self._listener.accept()[0]
            except OSError:
                return
            self.callers += 1
            with caller:
                caller.sendall(b"hello from outside\n")

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # also wakes the waiting thread
        self._listener.close()


def own_address() -> str:
    """An address of this machine other than the loopback's."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("203.0.113.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no address but the loopback's")
        return str(probe.getsockname()[0])
