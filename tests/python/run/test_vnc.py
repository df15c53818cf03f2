# SPDX-License-Identifier: GPL-2.0-only
"""The display's port: viewers' bytes go to the worker and back, and no viewer is in the way."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from kvm.errors import UserError
from kvm.run.options import BootOptions, parse_display
from kvm.run.vnc import Address, VncPort, parse_address

ANY = Address("127.0.0.1", 0)


def connect(port: VncPort) -> socket.socket:
    host, _, number = port.place.rpartition(":")
    connection = socket.create_connection((host.strip("[]"), int(number)), 10)
    connection.settimeout(10)
    return connection


def poll_until(port: VncPort, done: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    end = time.monotonic() + 10
    while not done(messages):
        assert time.monotonic() < end, messages
        messages += port.poll()
    return messages


def test_a_viewer_is_opened_heard_answered_and_closed() -> None:
    with VncPort(ANY) as port, connect(port) as viewer:
        viewer.sendall(b"RFB")
        messages = poll_until(port, lambda found: len(found) == 2)
        assert messages[0] == {"viewer": 1, "open": True}
        assert messages[1] == {"viewer": 1, "data": base64.b64encode(b"RFB").decode()}
        port.take({"viewer": 1, "data": base64.b64encode(b"hello").decode()})
        assert viewer.recv(10) == b"hello"
        viewer.close()
        assert poll_until(port, bool) == [{"viewer": 1, "close": True}]
        port.take({"viewer": 1, "closed": True})
        port.take({"viewer": 1, "data": ""})


def test_the_machine_may_close_a_viewer() -> None:
    with VncPort(ANY) as port, connect(port) as viewer:
        poll_until(port, bool)
        port.take({"viewer": 1, "data": base64.b64encode(b"bye").decode()})
        port.take({"viewer": 1, "closed": True})
        assert viewer.recv(10) == b"bye"
        assert viewer.recv(10) == b""
        assert port.poll() == []


def test_several_viewers_have_numbers_of_their_own() -> None:
    with VncPort(ANY) as port, connect(port) as one, connect(port) as two:
        poll_until(port, lambda found: len(found) == 2)
        two.sendall(b"2")
        assert poll_until(port, bool)[0]["viewer"] == 2
        one.sendall(b"1")
        assert poll_until(port, bool)[0]["viewer"] == 1


def test_a_viewer_that_stopped_reading_is_let_go() -> None:
    with VncPort(ANY) as port, connect(port) as viewer:
        poll_until(port, bool)
        frame = base64.b64encode(bytes(4 << 20)).decode()
        for _ in range(12):
            port.take({"viewer": 1, "data": frame})
        assert poll_until(port, bool) == [{"viewer": 1, "close": True}]
        assert viewer.fileno() >= 0


def test_all_connections_end_with_the_machine() -> None:
    with VncPort(ANY) as port:
        place = parse_address(port.place)
        viewer = connect(port)
        poll_until(port, bool)
    assert viewer.recv(10) == b""
    viewer.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(place, 10)


def test_without_an_address_nothing_listens() -> None:
    with VncPort(None) as port:
        assert (port.place, port.poll()) == ("", [])


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with (
            pytest.raises(UserError, match=f"--vnc 127.0.0.1:{number}: .*in use"),
            VncPort(Address("127.0.0.1", number)),
        ):
            pass


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("5900", ("127.0.0.1", 5900)),
        ("auto", ("127.0.0.1", 0)),
        ("0.0.0.0:5901", ("0.0.0.0", 5901)),
        ("[::1]:auto", ("::1", 0)),
    ],
)
def test_addresses_are_read(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", [":5900", "65536", "host:", "x", "-1", "1:2:3"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="PORT"):
        BootOptions(vnc=text).check()


@pytest.mark.parametrize("text", ["", "100", "10x10", "1024x4097", "axb", "1024x768x32"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="1024x768"):
        parse_display(text)
    with pytest.raises(UserError, match="--display"):
        BootOptions(vnc="auto", display=text).check()


def test_a_size_needs_a_display() -> None:
    with pytest.raises(UserError, match="without --vnc"):
        BootOptions(display="640x480").check()
    given = BootOptions(vnc="5900", display="640x480").check().arguments()
    assert given == "--vnc=5900 --display=640x480"
