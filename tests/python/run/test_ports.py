# SPDX-License-Identifier: GPL-2.0-only
"""A port in use is reported before anything is started, by its number."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.host.native import NativeHost
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import ports
from kvm.run.boot import Streams, build_and_boot
from kvm.run.staging import staged
from kvm.spec.machine import MachineSpec
from kvm.spec.network import Forward, NetKind, NetSpec
from support.asked import boot_options


def _net(port: int, *, udp: bool, address: str = "127.0.0.1") -> NetSpec:
    return NetSpec(NetKind.USER, forwards=(Forward(udp, address, port, 80),))


def _listening(*, udp: bool) -> socket.socket:
    found = socket.socket(type=socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
    found.bind(("127.0.0.1", 0))
    if not udp:
        found.listen()
    return found


@pytest.mark.parametrize("udp", [False, True])
def test_a_port_that_is_taken_is_named(udp: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_PATIENCE_S", 0.0)
    with _listening(udp=udp) as taken:
        port = taken.getsockname()[1]
        for address in ("127.0.0.1", "0.0.0.0"):
            with pytest.raises(UserError, match=f"port {port} .*in use"):
                ports.require_free([_net(port, udp=udp, address=address)])
    ports.require_free([_net(port, udp=udp)])
    ports.require_free([_net(port, udp=udp)])  # the check did not occupy it


def test_a_port_that_comes_free_in_a_moment_is_waited_for() -> None:
    """The port of a killed command is an example."""
    with _listening(udp=False) as taken:
        port = taken.getsockname()[1]
        threading.Timer(0.2, taken.close).start()
        ports.require_free([_net(port, udp=False)])


def test_an_address_of_another_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_PATIENCE_S", 0.0)
    with pytest.raises(UserError, match=r"hostfwd tcp:203\.0\.113\.9:8080: .*address"):
        ports.require_free([_net(8080, udp=False, address="203.0.113.9")])


def test_that_is_told_before_a_build_and_before_a_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "_PATIENCE_S", 0.0)
    with _listening(udp=False) as taken:
        port = taken.getsockname()[1]
        options = boot_options(nets=(f"user,hostfwd=tcp:{port}:80",))
        with Progress(live=False) as progress, pytest.raises(UserError, match=f"port {port} "):
            build_and_boot(Project(tmp_path), options, progress, Streams(_nothing, _nothing))
        spec = MachineSpec(tmp_path / "none", None, "", nets=(_net(port, udp=False),))
        with (
            pytest.raises(UserError, match=f"port {port} "),
            staged(spec, NativeHost(), Project(tmp_path), tmp_path),
        ):
            pass


def _nothing(data: bytes) -> None:
    raise AssertionError(data)


def test_in_a_lab_host_each_has_a_port_of_its_own() -> None:
    ours = [Forward(False, address, 65535, 1) for address in ("127.0.0.1", "127.0.0.2", "10.0.0.1")]
    theirs = list(ports.in_lab_host(ours))
    assert [forward.host_port for forward in theirs] == [65535, 1, 2]
    assert {forward.host_address for forward in theirs} == {"0.0.0.0"}
