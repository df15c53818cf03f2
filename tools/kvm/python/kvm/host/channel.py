# SPDX-License-Identifier: GPL-2.0-only
"""The client's end of the line to a lab host's agent; ``agent.py`` has the protocol.

The line is a byte stream that QEMU keeps when clients come and go, so a new client may still
receive messages for the one before. It sends hello with a nonce and drops all that comes before
the answer. After that a thread reads: answers go to the request's caller, all else to
``on_message``. The thread also keeps touching the keeper's heartbeat.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import secrets
import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Message = dict[str, Any]

_READ_BYTES = 256 * 1024
_HELLO_AGAIN_S = 0.5
_CONNECT_S = 1.0
_SEND_S = 30.0
_HEARTBEAT_S = 5.0


class ChannelClosed(Exception):
    """The other end is gone: QEMU has ended."""


class NotListening(ChannelClosed):
    """Nothing listens: QEMU has ended, or has not got that far yet."""


class ChannelTimeout(Exception):
    """The agent did not answer in time."""


class RequestFailed(Exception):
    """The agent answered that it can't do it."""


class Channel:
    """A connected line. ``connect`` makes one; requests and posts may come from any thread."""

    def __init__(
        self,
        line: socket.socket,
        heartbeat: Path,
        on_message: Callable[[Message], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._line = line
        self._heartbeat = heartbeat
        self._on_message = on_message
        self._on_closed = on_closed
        self._lines = LineBuffer()
        self._numbers = itertools.count(1)
        self._answers: dict[int, queue.SimpleQueue[Message]] = {}
        self._sending = threading.Lock()
        self._closing, self._wake = socket.socketpair()
        self._closed = False
        self._early: list[Message] = []  # came right after the answer to hello
        self._reader = threading.Thread(target=self._read, name="lab host", daemon=True)

    @classmethod
    def connect(
        cls,
        path: Path,
        heartbeat: Path,
        *,
        late: Callable[[], bool],
        on_message: Callable[[Message], None],
        on_closed: Callable[[], None],
    ) -> Channel:
        """Connect and say hello, until ``late()`` is true.

        Raises ``NotListening``, ``ChannelClosed`` if QEMU ends meanwhile, ``ChannelTimeout``.
        """
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.settimeout(_CONNECT_S)
            line.connect(str(path))
            channel = cls(line, heartbeat, on_message, on_closed)
            channel.beat()
            channel._say_hello(late)
        except TimeoutError as expired:
            line.close()
            raise NotListening(f"{path}: nobody takes the call") from expired
        except (ConnectionRefusedError, FileNotFoundError, BlockingIOError) as failed:
            line.close()
            raise NotListening(f"{path}: {failed.strerror}") from failed
        except OSError as failed:
            line.close()
            raise ChannelClosed(f"{path}: {failed.strerror}") from failed
        except (ChannelClosed, ChannelTimeout):
            line.close()
            raise
        line.settimeout(_SEND_S)
        channel._reader.start()
        return channel

    def request(self, op: str, timeout_s: float, **fields: object) -> Message:
        """Send a request and wait for the answer. Raises one of this module's exceptions."""
        number = next(self._numbers)
        answers: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._answers[number] = answers
        try:
            self.post(op, id=number, **fields)
            answer = answers.get(timeout=timeout_s)
        except queue.Empty:
            raise ChannelTimeout(f"no answer to {op} within {timeout_s:g} s") from None
        finally:
            self._answers.pop(number, None)
        if "closed" in answer:
            raise ChannelClosed(op)
        if not answer["ok"]:
            raise RequestFailed(answer["error"])
        return answer

    def post(self, op: str, **fields: object) -> None:
        """Send without waiting for an answer."""
        data = json.dumps({"op": op, **fields}).encode() + b"\n"
        try:
            with self._sending:
                self._line.sendall(data)
        except TimeoutError as late:
            raise ChannelTimeout(f"the agent takes no input for {_SEND_S:g} s") from late
        except OSError as failed:
            raise ChannelClosed(op) from failed
        if self._closed:
            raise ChannelClosed(op)

    def beat(self) -> None:
        """Show the keeper that a client is connected."""
        with contextlib.suppress(OSError):
            os.utime(self._heartbeat)

    def close(self) -> None:
        """Disconnect; the agent then kills what this client ran. ``on_closed`` is not called."""
        self._wake.close()
        if self._reader.is_alive() and self._reader is not threading.current_thread():
            self._reader.join(10)
        self._line.close()
        self._closing.close()

    def _say_hello(self, late: Callable[[], bool]) -> None:
        """Repeat hello now and then: the agent may not be there yet, and the line lossy till then.

        The newline in front ends a half line that the agent may hold from a previous client.
        """
        nonce = secrets.token_hex(8)
        hello = b"\n" + json.dumps({"op": "hello", "id": 0, "nonce": nonce}).encode() + b"\n"
        while not late():
            self._line.sendall(hello)
            again = time.monotonic() + _HELLO_AGAIN_S
            while (left := again - time.monotonic()) > 0:
                if not select.select([self._line], [], [], left)[0]:
                    break
                messages = self._receive()
                for number, message in enumerate(messages):
                    if message.get("id") == 0 and message.get("nonce") == nonce:
                        self._early = messages[number + 1 :]
                        return
        raise ChannelTimeout("no answer to hello")

    def _receive(self) -> list[Message]:
        data = self._line.recv(_READ_BYTES)
        if not data:
            raise ChannelClosed("end of file")
        return self._lines.feed(data)

    def _read(self) -> None:
        try:
            for message in self._early:
                self._deliver(message)
            while True:
                self.beat()
                ready = select.select([self._line, self._closing], [], [], _HEARTBEAT_S)[0]
                if self._closing in ready:
                    return
                if ready:
                    for message in self._receive():
                        self._deliver(message)
        except (ChannelClosed, OSError):
            self._closed = True
            for answers in list(self._answers.values()):
                answers.put({"closed": True})
            self._on_closed()

    def _deliver(self, message: Message) -> None:
        """Drop malformed messages: a kernel under test carries them."""
        with contextlib.suppress(KeyError, TypeError, ValueError):
            if "id" not in message:
                self._on_message(message)
            elif (answers := self._answers.get(message["id"])) is not None:
                answers.put(message)


class LineBuffer:
    """Cuts a byte stream into JSON objects, dropping lines that are none."""

    def __init__(self) -> None:
        self._partial = b""

    def feed(self, data: bytes) -> list[Message]:
        if b"\n" not in data:
            self._partial += data
            return []
        *lines, rest = (self._partial + data).split(b"\n")
        self._partial = rest
        return [message for line in lines if (message := _parse(line)) is not None]


def _parse(line: bytes) -> Message | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
