# SPDX-License-Identifier: GPL-2.0-only
"""A user network works in a lab host as it does without one: a way out, names, forwarded ports."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.guest.build import build_exercise
from kvm.project import Project
from kvm.run import ports
from support.exercises import PATIENCE
from support.guests import Guest, play
from support.machines import Boot
from support.outside import Answering, own_address

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

_BYTES = str(1 << 20)


def _can_be_bound(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
        return True


def test_a_port_of_this_machine_leads_to_the_guest(project: Project) -> None:
    program, port = build_exercise(project), ports.find_free()
    told: list[str] = []

    def call(guest: Guest) -> None:
        guest.wait_for("ready")
        argv = (str(program), "stream", f"tcp:127.0.0.1:{port}", "21", _BYTES)
        environment = {**os.environ, **dict([PATIENCE.split("=")])}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120)
        told.append(done.stdout)

    # The guest runs this machine's program, so it has the same path there.
    script = f"echo ready; {PATIENCE} {program} stream-serve tcp:0.0.0.0:80"
    net = f"user,hostfwd=tcp:{port}:80"
    run = play(project, script, call, nets=(net,), root="/", memory_mib=512)
    assert run.verdict == ("PASS", "ok"), f"{run}\n{run.stdout.decode()}\n{told}"
    assert told[-1].count("\nok ") == 2 and "not ok" not in told[-1]
    assert _can_be_bound(port)


_ECHO = """
import socket
with socket.socket(type=socket.SOCK_DGRAM) as server:
    server.bind(("0.0.0.0", 9))
    print("ready", flush=True)
    data, caller = server.recvfrom(100)
    server.sendto(data, caller)
    print(data.decode(), flush=True)
"""


def test_datagrams_are_led_in_too_and_in_qemus_words(project: Project) -> None:
    port = ports.find_free(socket.SOCK_DGRAM)

    def call(guest: Guest) -> None:
        guest.wait_for("ready")
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(2)
            for _ in range(30):  # the first may be lost while the router looks for the guest
                client.sendto(b"over here", ("127.0.0.1", port))
                with contextlib.suppress(TimeoutError):
                    assert client.recv(100) == b"over here"
                    return
            raise AssertionError("no answer")

    net = f"user,hostfwd=udp:127.0.0.1:{port}-10.0.2.15:9"
    script = f"{sys.executable} -c '{_ECHO}'"
    run = play(project, script, call, nets=(net,), root="/", memory_mib=512)
    assert run.verdict == ("PASS", "ok"), f"{run}\n{run.stdout.decode()}"


def test_a_port_that_is_taken_is_told_before_the_run(boot: Boot) -> None:
    with Answering("127.0.0.1") as taken:
        with pytest.raises(UserError, match=f"port {taken.port} .*in use"):
            boot("true", nets=(f"user,hostfwd=tcp:{taken.port}:80",))
        assert taken.callers == 0
    run = boot("true", nets=(f"user,hostfwd=tcp:{taken.port}:80",))
    assert run.verdict == ("PASS", "ok"), run


def test_a_killed_command_leaves_its_port_free(project: Project) -> None:
    port = ports.find_free()
    net = f"user,hostfwd=tcp:{port}:80"
    argv = (str(project.root / "invoke"), "boot", "--host", "lab", "--net", net)
    script = ("--", "sh", "-c", "echo ready; sleep 600")
    with subprocess.Popen(
        (*argv, *script), stdout=subprocess.PIPE, start_new_session=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        assert not _can_be_bound(port)
        os.killpg(child.pid, signal.SIGKILL)
    end = time.monotonic() + 5
    while not _can_be_bound(port):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_guest_gets_out_but_not_to_what_is_private_here(boot: Boot) -> None:
    address = own_address()
    with Answering(address) as outside, Answering("127.0.0.1") as private:
        script = f"""
            nc -w 20 {address} {outside.port} </dev/null
            for there in 198.51.100.2 198.51.100.3 10.0.2.2 10.0.2.3 127.0.0.1; do
                nc -w 2 $there {private.port} </dev/null && echo reached $there
            done; true
        """
        run = boot("sh", "-c", script, nets=("user",))
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout == b"hello from outside\n", run
    assert (outside.callers, private.callers) == (1, 0)


def test_there_is_ipv6_and_its_router_answers(boot: Boot) -> None:
    script = """
        i=0; until ip -6 addr show eth0 | grep -q "inet6 fec0"; do
            i=$((i+1)); [ $i -lt 50 ] || break; sleep 0.1
        done
        ip -6 addr show eth0; ip -6 route; ping6 -c 2 -W 5 fec0::2
    """
    run = boot("sh", "-c", script, nets=("user",))
    assert run.verdict == ("PASS", "ok"), f"{run}\n{run.stdout.decode()}"
    text = run.stdout.decode()
    assert "scope site" in text or "fec0::" in text
    assert "default via fe80::" in text
    assert ", 0% packet loss" in text


# A name server on this machine, in a mount namespace whose resolv.conf names it.
_WITH_NAMES = """
set -e
echo nameserver 127.0.0.53 >"$1/resolv.conf"
mount --bind "$1/resolv.conf" /etc/resolv.conf
shift
exec "$@"
"""


class NameServer:
    """Answers each question for an address, at 127.0.0.53, with the same one."""

    ADDRESS = "203.0.113.77"

    def __init__(self) -> None:
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        try:
            self._socket.bind(("127.0.0.53", 53))
        except OSError as failed:
            pytest.skip(f"no name server can be had at port 53: {failed}")
        self._socket.settimeout(0.2)
        self.asked: set[str] = set()
        self._ended = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ended:
            try:
                question, whose = self._socket.recvfrom(512)
            except TimeoutError:
                continue
            labels, at = [], 12
            while length := question[at]:
                labels.append(question[at + 1 : at + 1 + length].decode())
                at += 1 + length
            self.asked.add(".".join(labels))
            kind = question[at + 1 : at + 5]
            known = kind == struct.pack(">HH", 1, 1)
            head = question[:2] + struct.pack(">HHHHH", 0x8180, 1, int(known), 0, 0)
            record = struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(self.ADDRESS)
            self._socket.sendto(head + question[12 : at + 5] + record * known, whose)

    def __enter__(self) -> NameServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended = True
        self._thread.join()
        self._socket.close()


@pytest.mark.xdist_group("name-server")  # which has one port
@pytest.mark.parametrize("root", [(), ("--root", "/", "--memory", "512M")])
def test_names_are_asked_of_this_machines_name_server(
    project: Project, tmp_path: Path, root: tuple[str, ...]
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may show a command another /etc/resolv.conf")
    with NameServer() as names:
        boot = (str(project.root / "invoke"), "boot", "--host", "lab", "--net", "user", *root)
        ask = "busybox nslookup guests.example 2>&1 || nslookup guests.example 2>&1"
        if root:
            python = "import socket; print(socket.gethostbyname('guests.example'))"
            ask = f'{sys.executable} -c "{python}"'
        command = (*boot, "--", "sh", "-c", ask)
        unshare = ("unshare", "-m", "sh", "-c", _WITH_NAMES, "sh", str(tmp_path), *command)
        done = subprocess.run(unshare, capture_output=True, text=True, timeout=300)
    assert NameServer.ADDRESS in done.stdout, f"{done.stdout}\n{done.stderr}"
    assert "guests.example" in names.asked
    assert done.returncode == 0, done.stderr
