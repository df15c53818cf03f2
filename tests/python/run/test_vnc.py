# SPDX-License-Identifier: GPL-2.0-only
"""The display's port: viewers' bytes go to the worker and back, and no viewer blocks others."""

from __future__ import annotations

import base64
import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kvm import process
from kvm.errors import UserError
from kvm.run import vnc
from kvm.run.vnc import Address, Entrance, VncPort, parse_entrance
from kvm.spec.machine import MachineSpec, parse_display
from support.asked import boot_options

LOOPBACK = Address("127.0.0.1", 0)
ANY = Entrance(LOOPBACK)


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "tools-kvm"


def connect(port: VncPort) -> socket.socket:
    if port.place.startswith("/"):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(port.place)
    else:
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
        place = parse_entrance(port.place).address
        assert place is not None
        viewer = connect(port)
        poll_until(port, bool)
    assert viewer.recv(10) == b""
    viewer.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((place.host, place.port), 10)


def test_without_an_address_nothing_listens() -> None:
    with VncPort(None) as port:
        assert (port.place, port.poll()) == ("", [])


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with (
            pytest.raises(UserError, match=f"--vnc 127.0.0.1:{number}: .*in use"),
            VncPort(Entrance(Address("127.0.0.1", number))),
        ):
            pass


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("auto", None),
        ("5900", ("127.0.0.1", 5900)),
        ("127.0.0.1:auto", ("127.0.0.1", 0)),
        ("0.0.0.0:5901,password=none", ("0.0.0.0", 5901)),
        ("[::1]:auto", ("::1", 0)),
    ],
)
def test_addresses_are_read(text: str, address: tuple[str, int] | None) -> None:
    assert parse_entrance(text).address == address


def test_a_unix_socket_is_this_users_alone_and_goes_with_the_machine(runtime_folder: Path) -> None:
    with VncPort(Entrance()) as port, connect(port) as viewer:
        path = Path(port.place)
        assert path.parent == runtime_folder / "displays"
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert port.password == ""
        assert port.notes() == (f"the display is at {path} (VNC): vncviewer {path}",)
        viewer.sendall(b"RFB")
        assert len(poll_until(port, lambda found: len(found) == 2)) == 2
    assert not path.exists()


def test_sockets_that_a_killed_process_left_are_removed(runtime_folder: Path) -> None:
    with process.spawn(("true",)) as ended:
        ended.wait()
    left = runtime_folder / "displays" / f"{ended.pid}-1"
    with VncPort(Entrance()):
        left.touch()
    with VncPort(Entrance()), VncPort(Entrance()) as other:
        assert not left.exists()
        assert Path(other.place).exists()


def test_by_tcp_there_is_a_password_unless_that_is_asked_for() -> None:
    with VncPort(parse_entrance("127.0.0.1:auto")) as port:
        assert len(port.password) == 8
        assert port.notes() == (
            f"the display is at {port.place} (VNC); its password is {port.password}",
        )
        with VncPort(parse_entrance("127.0.0.1:auto")) as other:
            assert other.password != port.password
    with VncPort(parse_entrance("0.0.0.0:auto,password=none")) as port:
        assert port.password == ""
        told, warning = port.notes()
        assert "it asks for no password" in told
        assert "other machines reach it" in warning


def test_a_password_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("s3cret\nmore\n")
    path.chmod(0o600)
    with VncPort(parse_entrance(f"127.0.0.1:auto,password={path}")) as port:
        assert port.password == "s3cret"
        assert port.notes()[0].endswith(f"its password is in {path}")
    given = boot_options(vnc=f"5900,password={path}").check().arguments()
    assert given == f"--vnc=5900,password={path}"


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ("secret", 0o640, "others can read"),
        ("nine chars", 0o600, "1 to 8"),
        ("", 0o600, "1 to 8"),
        (None, 0o600, "No such file"),
    ],
)
def test_a_password_that_can_t_be_is_told(
    tmp_path: Path, content: str | None, mode: int, words: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    with pytest.raises(UserError, match=words):
        VncPort(Entrance(LOOPBACK, str(path))).__enter__()


def test_the_password_is_not_where_a_run_is_kept(tmp_path: Path) -> None:
    spec = MachineSpec(tmp_path, None, "", display=(640, 480), display_password="s3cret")
    assert "s3cret" not in repr(spec) + str(spec.to_json())
    told = MachineSpec.from_json({**spec.to_json(), "display_password": "s3cret"})
    assert told == spec


def test_there_is_an_end_to_how_many_viewers_there_may_be() -> None:
    with VncPort(ANY) as port, contextlib.ExitStack() as stack:
        viewers = [stack.enter_context(connect(port)) for _ in range(vnc.MAX_VIEWERS)]
        poll_until(port, lambda found: len(found) == vnc.MAX_VIEWERS)
        with connect(port) as surplus:
            assert port.poll() == []
            assert surplus.recv(10) == b""
        viewers[0].close()
        assert poll_until(port, bool) == [{"viewer": 1, "close": True}]
        stack.enter_context(connect(port))
        assert poll_until(port, bool) == [{"viewer": vnc.MAX_VIEWERS + 1, "open": True}]


def test_a_viewer_that_never_speaks_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vnc, "GREETING_S", 0.0)
    with VncPort(ANY) as port, connect(port) as silent:
        assert poll_until(port, lambda found: len(found) == 2)[1] == {"viewer": 1, "close": True}
        assert silent.recv(10) == b""


@pytest.mark.parametrize(
    "text",
    [
        *(":5900", "65536", "host:", "x", "-1", "1:2:3"),
        *("5900,password", "5900,password=", "5900,secret=x", "5900,password=a,password=b"),
        "auto,password=x",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"PORT|leave the password out"):
        boot_options(vnc=text).check()


@pytest.mark.parametrize("text", ["", "100", "10x10", "1024x4097", "axb", "1024x768x32"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="1024x768"):
        parse_display(text)
    with pytest.raises(UserError, match="--display"):
        boot_options(vnc="auto", display=text).check()


def test_a_size_needs_a_display() -> None:
    with pytest.raises(UserError, match="without --vnc"):
        boot_options(display="640x480").check()
    given = boot_options(vnc="5900", display="640x480").check().arguments()
    assert given == "--display=640x480 --vnc=5900"
