# SPDX-License-Identifier: GPL-2.0-only
"""kvm.host.channel: a new client is not confused by what an old one left on the line."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kvm.host.channel import Channel, ChannelClosed, ChannelTimeout, LineBuffer, RequestFailed

Serve = Callable[[socket.socket], None]


class Server:
    """Plays the agent for one connection, following a script."""

    def __init__(self, path: Path, script: Serve) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._script = script
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            self._script(connection)

    def close(self) -> None:
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[..., Channel]]:
    servers: list[Server] = []
    channels: list[Channel] = []

    def start(script: Serve, timeout_s: float = 10, **handlers: object) -> Channel:
        servers.append(Server(tmp_path / "s", script))
        (tmp_path / "beat").touch()
        ends = time.monotonic() + timeout_s
        callbacks: dict[str, object] = {"on_message": lambda m: None, "on_closed": lambda: None}
        channel = Channel.connect(
            servers[0].path,
            tmp_path / "beat",
            late=lambda: time.monotonic() >= ends,
            **{**callbacks, **handlers},  # type: ignore[arg-type]
        )
        channels.append(channel)
        return channel

    yield start
    for channel in channels:
        channel.close()
    for server in servers:
        server.close()


def _lines(connection: socket.socket) -> Iterator[dict[str, object]]:
    buffer = LineBuffer()
    while data := connection.recv(65536):
        yield from buffer.feed(data)


def _welcome(connection: socket.socket, lines: Iterator[dict[str, object]]) -> None:
    hello = next(lines)
    reply = {"id": 0, "ok": True, "nonce": hello["nonce"]}
    connection.sendall(b"\n" + json.dumps(reply).encode() + b"\n")


def _echo(connection: socket.socket) -> None:
    lines = _lines(connection)
    _welcome(connection, lines)
    for message in lines:
        connection.sendall(json.dumps({**message, "ok": True}).encode() + b"\n")


def test_leftovers_before_the_answer_to_hello_are_dropped(
    connect: Callable[..., Channel],
) -> None:
    heard: list[object] = []

    def script(connection: socket.socket) -> None:
        connection.sendall(
            b'alf a line"}\n{"session": 1, "event": {}}\n{"id": 0, "nonce": "old"}\n'
        )
        connection.sendall(b'{"session": 1, "ev')  # its end never comes
        _echo(connection)

    channel = connect(script, on_message=heard.append)
    assert channel.request("ping", 10)["op"] == "ping"
    assert heard == []


def test_hello_is_said_again_until_the_agent_is_there(connect: Callable[..., Channel]) -> None:
    def script(connection: socket.socket) -> None:
        lines = _lines(connection)
        first = next(lines)
        second = next(lines)
        assert first == second
        reply = {"id": 0, "ok": True, "nonce": second["nonce"]}
        connection.sendall(json.dumps(reply).encode() + b"\n")
        connection.recv(1)

    connect(script)


def test_messages_arrive_whole_however_they_are_cut(connect: Callable[..., Channel]) -> None:
    heard: list[object] = []
    done = threading.Event()

    def hear(message: object) -> None:
        heard.append(message)
        if len(heard) == 2:
            done.set()

    def script(connection: socket.socket) -> None:
        _welcome(connection, _lines(connection))
        for byte in b'{"session": 1, "event": {"n": 1}}\nbroken {\n{"session": 1, "exit": 0}\n':
            connection.sendall(bytes([byte]))
        connection.recv(1)

    connect(script, on_message=hear)
    assert done.wait(10)
    assert heard == [{"session": 1, "event": {"n": 1}}, {"session": 1, "exit": 0}]


def test_no_answer_to_hello_is_a_timeout(connect: Callable[..., Channel]) -> None:
    with pytest.raises(ChannelTimeout):
        connect(lambda connection: _lines_forever(connection), timeout_s=0.7)


def _lines_forever(connection: socket.socket) -> None:
    for _ in _lines(connection):
        pass


def test_no_answer_to_a_request_is_a_timeout(connect: Callable[..., Channel]) -> None:
    def script(connection: socket.socket) -> None:
        lines = _lines(connection)
        _welcome(connection, lines)
        for _ in lines:
            pass

    with pytest.raises(ChannelTimeout, match="ping"):
        connect(script).request("ping", 0.2)


def test_a_refusal_is_told(connect: Callable[..., Channel]) -> None:
    def script(connection: socket.socket) -> None:
        lines = _lines(connection)
        _welcome(connection, lines)
        asked = next(lines)
        refusal = {"id": asked["id"], "ok": False, "error": "no such thing"}
        connection.sendall(json.dumps(refusal).encode() + b"\n")
        connection.recv(1)

    with pytest.raises(RequestFailed, match="no such thing"):
        connect(script).request("start", 10)


def test_the_end_of_the_line_wakes_who_waits(connect: Callable[..., Channel]) -> None:
    closed = threading.Event()

    def script(connection: socket.socket) -> None:
        lines = _lines(connection)
        _welcome(connection, lines)
        next(lines)

    channel = connect(script, on_closed=closed.set)
    with pytest.raises(ChannelClosed):
        channel.request("ping", 10)
    assert closed.wait(10)


def test_nobody_listening_is_a_closed_channel(tmp_path: Path) -> None:
    with pytest.raises(ChannelClosed):
        Channel.connect(
            tmp_path / "nothing",
            tmp_path / "beat",
            late=lambda: False,
            on_message=lambda message: None,
            on_closed=lambda: None,
        )


def test_closing_is_no_loss(connect: Callable[..., Channel]) -> None:
    closed = threading.Event()
    channel = connect(_echo, on_closed=closed.set)
    channel.close()
    assert not closed.is_set()


def test_a_connected_client_keeps_the_heartbeat_going(
    connect: Callable[..., Channel], tmp_path: Path
) -> None:
    (tmp_path / "beat").touch()
    connect(_echo)
    assert time.time() - (tmp_path / "beat").stat().st_mtime < 5
