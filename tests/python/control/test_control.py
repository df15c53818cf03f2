# SPDX-License-Identifier: GPL-2.0-only
"""A machine's name, and the requests that others can send by it."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kvm.control import client, names, server
from kvm.control.server import ControlServer
from kvm.errors import UserError

FACTS = {"host": "lab", "cpus": 2}


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without any other machines."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "tools-kvm" / "machines"


@pytest.fixture
def serve() -> Iterator[Callable[..., ControlServer]]:
    """Machines that answer each request with the request, from a thread that polls."""
    ended = threading.Event()
    threads = []

    def start(name: str, *, exact: bool = True, deaf: bool = False) -> ControlServer:
        control = ControlServer(name, FACTS, exact=exact)

        def drive() -> None:
            while not ended.wait(0.01):
                for request in [] if deaf else control.poll():
                    control.take({"event": "answer", "ask": request["ask"], "seen": request})
            control.close()

        threads.append(threading.Thread(target=drive))
        threads[-1].start()
        return control

    yield start
    ended.set()
    for thread in threads:
        thread.join(10)


Serve = Callable[..., ControlServer]


def test_a_request_is_answered_by_who_drives_the_machine(serve: Serve) -> None:
    serve("one")
    answer = client.ask("one", "nmi", vcpu=3)
    assert answer == {"seen": {"what": "nmi", "vcpu": 3, "ask": 1}}


def test_machines_are_listed_with_what_they_are(serve: Serve) -> None:
    one = serve("one")
    serve("two")
    one.take({"event": "paused", "paused": True})
    first, second = client.descriptions()
    assert (first["name"], first["state"], first["host"], first["cpus"]) == (
        "one",
        "paused",
        "lab",
        2,
    )
    assert (second["name"], second["state"], second["pid"]) == ("two", "running", os.getpid())


def test_a_name_belongs_to_one_machine(serve: Serve) -> None:
    serve("one")
    with pytest.raises(UserError, match="one is running already"):
        names.ensure_free("one")
    with pytest.raises(UserError, match=r"machine\.stop one"):
        ControlServer("one", FACTS, exact=True)
    assert serve("one", exact=False).name == "one-2"
    assert serve("one", exact=False).name == "one-3"
    names.ensure_free("two")


def test_a_name_is_free_again_at_the_end(runtime: Path) -> None:
    with ControlServer("one", FACTS, exact=True):
        assert names.running() == ("one",)
    assert names.running() == ()
    assert not (runtime / "one.sock").exists()


def test_the_socket_of_a_killed_process_is_in_nobodys_way(runtime: Path) -> None:
    names.running()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(runtime / "one.sock"))
    left.close()
    with pytest.raises(UserError, match="no machine called 'one'"):
        client.ask("one", "stat")
    assert names.running() == ()
    assert not (runtime / "one.sock").exists()


def test_an_unknown_name_tells_the_known_ones(serve: Serve) -> None:
    with pytest.raises(UserError, match="no machine is running"):
        client.ask("two", "pause")
    serve("one")
    with pytest.raises(UserError, match="running: one"):
        client.ask("two", "pause")
    with pytest.raises(UserError, match="running: one"):
        client.ask("../one", "pause")


def test_what_the_machine_has_against_a_request_is_the_users_error() -> None:
    with ControlServer("one", FACTS, exact=True) as control:
        answering = threading.Thread(target=_answer_once, args=(control, {"error": "no vCPU 9"}))
        answering.start()
        with pytest.raises(UserError, match="machine one: no vCPU 9"):
            client.ask("one", "nmi", vcpu=9)
        answering.join(10)


def _answer_once(control: ControlServer, answer: dict[str, Any]) -> None:
    while not (found := control.poll()):
        pass
    control.answer(found[0]["ask"], answer)


def test_who_waits_when_the_machine_ends_is_told(serve: Serve) -> None:
    control = ControlServer("one", FACTS, exact=True)
    closing = threading.Timer(0.2, control.close)
    closing.start()
    with pytest.raises(UserError, match="the machine has ended"):
        client.ask("one", "pause")
    closing.join(10)


def test_a_machine_that_does_not_answer_is_not_waited_for_without_end(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "ANSWER_S", 0.2)
    serve("one", deaf=True)
    with pytest.raises(UserError, match="gave no answer"):
        client.ask("one", "pause")


@pytest.mark.parametrize(
    "sent", [b"hello\n", b"[]\n", b"{}\n", b'{"what": 7}\n', b"\xff\n", b"x" * 5000, b"", b"{"]
)
def test_rubbish_harms_nobody(serve: Serve, sent: bytes) -> None:
    serve("one")
    with names.connect("one", 10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(4096):
            answer += part
    assert "not a request" in json.loads(answer)["error"]
    assert client.ask("one", "stat")["seen"]["what"] == "stat"


def test_who_asks_and_goes_away_is_not_missed(serve: Serve) -> None:
    serve("one")
    for _ in range(20):
        with names.connect("one", 10) as connection:
            connection.sendall(b'{"what": "stat"}\n')
    assert client.ask("one", "stat")["seen"]["what"] == "stat"


def test_several_may_ask_at_once(serve: Serve) -> None:
    serve("one")
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(client.ask("one", "nmi", vcpu=n)))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(answer["seen"]["vcpu"] for answer in answers) == list(range(12))


@pytest.mark.parametrize("name", ["", "a/b", "../x", "-x", ".hidden", "x" * 49, "ä"])
def test_names_are_plain_words(name: str) -> None:
    with pytest.raises(UserError, match="letters, digits"):
        names.check(name)


def test_any_text_makes_a_name() -> None:
    for text in ("20261127-094337", "cell 3: blk/rw", "..", "", "x" * 200):
        names.check(names.made_of(text))
    assert names.made_of("20261127-094337") == "20261127-094337"


def test_more_clients_than_there_may_be_wait_for_a_place(serve: Serve) -> None:
    serve("one")
    before = threading.active_count()
    silent = [names.connect("one", 10) for _ in range(server.MAX_CLIENTS + 8)]
    assert threading.active_count() <= before + server.MAX_CLIENTS
    for one in silent:
        one.close()
    assert client.ask("one", "nmi")["seen"]["what"] == "nmi"
