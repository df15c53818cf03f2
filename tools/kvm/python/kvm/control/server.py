# SPDX-License-Identifier: GPL-2.0-only
"""The side of the process that drives a machine: takes requests and answers each.

A client sends one line of JSON, ``{"what": WORD, ...}``, and gets one back, with ``error`` or the
result. Threads wait for clients; the thread that drives the machine polls, and carries out the
requests.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import socket
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from kvm.control import names

Message = dict[str, Any]

_REQUEST_S = 5.0
ANSWER_S = 15.0  # a vCPU may take 5 s to leave the guest
_REQUEST_BYTES = 4096
MAX_CLIENTS = 32  # served at once; more wait in the socket's backlog
_ENDED = "the machine has ended"


class ControlServer:
    """A machine's name while it runs. ``facts`` are what ``machine.list`` shows."""

    def __init__(self, name: str, facts: Mapping[str, Any], *, exact: bool) -> None:
        self.name, self._socket = names.listen(name, exact=exact)
        self._facts = {"name": self.name, "pid": os.getpid(), "since": time.time(), **facts}
        self._numbers = itertools.count(1)
        self._requests: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._waiting: dict[int, queue.SimpleQueue[Message]] = {}
        self._places = threading.Semaphore(MAX_CLIENTS)
        self._lock = threading.Lock()
        self._closed = False
        self._paused = False
        threading.Thread(target=self._listen, name="control", daemon=True).start()

    def __enter__(self) -> ControlServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the name; waiting clients get the answer that the machine has ended."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, {}
        names.path_of(self.name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
        self._socket.close()
        for answer in waiting.values():
            answer.put({"error": _ENDED})

    def poll(self) -> list[Message]:
        """New requests: messages for the worker, or ``stop`` for the process that drives it."""
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._requests.get_nowait())
        return found

    def take(self, event: Mapping[str, Any]) -> None:
        """Take an ``answer`` or ``paused`` event of the worker."""
        if event["event"] == "paused":
            self._paused = bool(event["paused"])
            return
        answer = {key: value for key, value in event.items() if key not in ("event", "ask")}
        self.answer(event.get("ask"), answer)

    def answer(self, number: Any, answer: Message) -> None:
        with self._lock:
            waiting = self._waiting.pop(number, None)
        if waiting is not None:
            waiting.put(answer)

    def _listen(self) -> None:
        while True:
            self._places.acquire()
            try:
                client, _ = self._socket.accept()
            except OSError:
                self._places.release()
                if self._closed:
                    return
                time.sleep(0.1)  # probably out of descriptors
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            self._answer_one(client)
        finally:
            self._places.release()

    def _answer_one(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(_REQUEST_S)
            try:
                answer = self._handle(_request_of(client))
            except ValueError as error:
                answer = {"error": f"not a request: {error}"}
            client.sendall(json.dumps(answer).encode() + b"\n")

    def _handle(self, request: Message) -> Message:
        if request.get("what") == "describe":
            return {**self._facts, "state": "paused" if self._paused else "running"}
        number = next(self._numbers)
        waiting: queue.SimpleQueue[Message] = queue.SimpleQueue()
        with self._lock:
            if self._closed:
                return {"error": _ENDED}
            self._waiting[number] = waiting
        self._requests.put({**request, "ask": number})
        try:
            return waiting.get(timeout=ANSWER_S)
        except queue.Empty:
            return {"error": f"the machine's VMM gave no answer in {ANSWER_S:.0f} s"}
        finally:
            with self._lock:
                self._waiting.pop(number, None)


def _request_of(client: socket.socket) -> Message:
    """One line of JSON. Raises ``ValueError`` for anything else, ``OSError`` at the deadline."""
    line = b""
    while b"\n" not in line:
        part = client.recv(_REQUEST_BYTES)
        line += part
        if not part or len(line) > _REQUEST_BYTES:
            raise ValueError("it has no end" if part else "it ended too soon")
    request = json.loads(line)
    if not isinstance(request, dict) or not isinstance(request.get("what"), str):
        raise ValueError('it lacks "what"')
    return request
