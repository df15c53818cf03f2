# SPDX-License-Identifier: GPL-2.0-only
"""A lab host's keeper lends ports to a command, and takes them back however the command ends.

QEMU is a real one, without a guest.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import kvm
from kvm.errors import InfrastructureError
from kvm.host import forwards, keeper
from kvm.host.forwards import Lease
from kvm.host.instance import Instance
from kvm.host.monitor import Monitor, connect_in
from kvm.host.qemu import BINARY, UPLINK, UPLINK_SELF, has_user_network

_QEMU = (
    *(BINARY, "-M", "none", "-nodefaults", "-nographic"),
    *("-netdev", f"user,id={forwards.NETDEV},net={UPLINK}"),
    *("-chardev", f"socket,id=monitor,path={forwards.MONITOR},server=on,wait=off"),
    *("-mon", "chardev=monitor,mode=control"),
)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Instance]:
    if shutil.which(BINARY) is None or not has_user_network():
        pytest.skip("there is no QEMU with a user network")
    found = Instance(tmp_path / ("long" * 40) / "lab", tmp_path / "lab.sock")
    found.folder.mkdir(parents=True)
    found.heartbeat.touch()
    argv = (sys.executable, "-I", "-S", keeper.__file__, str(found.folder), "600", *_QEMU)
    subprocess.run(argv, check=True, timeout=30, stdout=subprocess.PIPE)
    _until(lambda: (found.folder / forwards.MONITOR).exists())
    yield found
    found.discard()


def _free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _rule(port: int, protocol: str = "tcp") -> str:
    return f"{protocol}:127.0.0.1:{port}-{UPLINK_SELF}:80"


def _taken(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    with socket.socket(type=kind) as probe:
        if kind is socket.SOCK_STREAM:
            return probe.connect_ex(("127.0.0.1", port)) == 0
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def _until(condition: object, within_s: float = 15) -> None:
    deadline = time.monotonic() + within_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_ports_are_lent_until_they_are_given_back(lab: Instance) -> None:
    tcp, udp = _free_port(), _free_port(socket.SOCK_DGRAM)
    for _ in range(2):
        lease = Lease(lab.folder, [_rule(tcp), _rule(udp, "udp")])
        assert _taken(tcp)
        assert _taken(udp, socket.SOCK_DGRAM)
        lease.close()
        assert not _taken(tcp)  # at once
        assert not _taken(udp, socket.SOCK_DGRAM)


_CLIENT = """
import sys, time
from pathlib import Path
from kvm.host.forwards import Lease
lease = Lease(Path(sys.argv[1]), [sys.argv[2]])
print("lent", flush=True)
time.sleep(600)
"""


def test_those_of_a_killed_command_are_taken_back_and_others_stay(lab: Instance) -> None:
    port, other = _free_port(), _free_port()
    with contextlib.closing(Lease(lab.folder, [_rule(other)])):
        argv = (sys.executable, "-c", _CLIENT, str(lab.folder), _rule(port))
        environment = {**os.environ, "PYTHONPATH": str(Path(kvm.__file__).parents[1])}
        with subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == b"lent\n"
            assert _taken(port)
            client.kill()
        _until(lambda: not _taken(port), within_s=2)
        assert _taken(other)
    assert lab.running


def test_a_rule_that_qemu_refuses_is_told_and_leaves_none_of_its_lease(lab: Instance) -> None:
    first, second = _free_port(), _free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", second))
        taken.listen()
        with pytest.raises(InfrastructureError, match=rf"Could not set up .*{second}"):
            Lease(lab.folder, [_rule(first), _rule(second)])
        assert not _taken(first)
    Lease(lab.folder, [_rule(first), _rule(second)]).close()


def test_who_says_nonsense_or_nothing_harms_nobody(lab: Instance) -> None:
    with contextlib.ExitStack() as held:
        for nonsense in (b"", b"{\n", b"7\n", b"[1]\n"):
            client = held.enter_context(socket.socket(socket.AF_UNIX))
            connect_in(client, lab.folder, forwards.SOCKET)
            client.sendall(nonsense)
        port = _free_port()
        with contextlib.closing(Lease(lab.folder, [_rule(port)])):
            assert _taken(port)
    assert lab.running


def test_a_qemu_that_does_not_answer_is_nobodys_verdict(
    lab: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwards, "_PATIENT_S", 1.0)
    held = Lease(lab.folder, [_rule(_free_port())])
    found = lab.processes()
    assert found is not None and found.qemu is not None
    os.kill(found.qemu.pid, signal.SIGSTOP)
    with pytest.raises(InfrastructureError, match="does not forward ports"):
        Lease(lab.folder, [_rule(_free_port())])
    lab.discard()
    held.close()
    with pytest.raises(InfrastructureError, match="does not forward ports"):
        Lease(lab.folder, [_rule(_free_port())])


def test_an_answer_of_the_monitor_may_come_after_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[dict[str, object]] = [
        {"QMP": {}},
        {"return": {}},
        {"event": "RESUME"},
        {"event": "STOP"},
        {"return": "done\r\n"},
        {"error": {"desc": "no"}},
    ]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(forwards.MONITOR)
        listener.listen()

        def serve() -> None:
            with listener.accept()[0] as monitor:
                monitor.sendall(b"".join(json.dumps(one).encode() + b"\n" for one in said))
                while monitor.recv(4096):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        asked = Monitor(forwards.MONITOR, 5)
        assert asked.ask("human-monitor-command") == "done\r\n"
        with pytest.raises(ValueError, match="no"):
            asked.ask("human-monitor-command")
        asked.close()
        thread.join(10)
