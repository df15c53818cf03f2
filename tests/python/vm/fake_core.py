# SPDX-License-Identifier: GPL-2.0-only
"""A stand-in for the compiled ``kvm._core``: the test plays the guest at the other ends."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any


class ConfigError(ValueError):
    pass


class LoadError(RuntimeError):
    pass


class KvmError(RuntimeError):
    pass


@dataclass
class StopInfo:
    reason: str
    detail: str


class FakeMachine:
    """The interface of ``kvm._core.Machine``, and the guest's ends for the test."""

    started_ns = 123
    load_ns = 45
    balloon_mib = 0
    asked = False
    paused = False
    cmdline = "quiet"
    events_offered = "hypercall"
    events_seen = "hypercall"
    unsent = b""
    output_unsent = False

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        self.started = self.closed = False
        self.stop_info: StopInfo | None = None
        self.nmis = 0
        self.put_back: list[tuple[str, bool]] = []
        self.on_rewind: Callable[[], None] = lambda: None
        self.refuses = ""
        self.sysrqs: list[str] = []
        self.viewers: list[Any] = []
        self.sizes: list[tuple[int, int]] = []
        self.console, self._console = _pair()
        self.agent, self._agent = _pair()
        self.serial, self._serial = _pair()
        self.events, self._events = _pair()
        self.ttys = {line: _pair() for line in record["ttys"]}
        self.tty_fds = {line: ours.fileno() for line, (_, ours) in self.ttys.items()}
        self.console_fd = self._console.fileno()
        self.agent_fd = self._agent.fileno()
        self.serial_agent_fd = self._serial.fileno()
        self.events_fd = self._events.fileno()
        self.stopped_fd = os.eventfd(0)

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.finish("stopped", "asked by the host")

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def checkpoint(self) -> None:
        if self.refuses:
            raise ConfigError(self.refuses)
        self.put_back.append(("checkpoint", self.paused))

    def rewind(self) -> None:
        self.put_back.append(("rewind", self.paused))
        self.on_rewind()

    def nmi(self, vcpu: int) -> None:
        if vcpu > 0:
            raise ConfigError(f"no vCPU {vcpu}: this machine has 0 to 0")
        self.nmis += 1

    def serial_sysrq(self, key: str) -> None:
        self.sysrqs.append(key)

    def resize_console(self, columns: int, rows: int) -> None:
        self.sizes.append((columns, rows))

    def connect_viewer(self) -> int:
        if self.record["display"] is None:
            raise ConfigError("this machine has no display: give it one")
        server, ours = _pair()
        self.viewers.append(server)
        return ours.detach()

    def finish(self, reason: str, detail: str = "") -> None:
        """The guest (or the host) ended the machine; the first reason stays."""
        if self.stop_info is None:
            self.stop_info = StopInfo(reason, detail)
            os.eventfd_write(self.stopped_fd, 1)

    def unsent_events(self) -> bytes:
        return self.unsent

    def wait(self, timeout_s: float) -> StopInfo | None:
        return self.stop_info

    def close(self) -> None:
        self.closed = True
        ttys = [ours for _, ours in self.ttys.values()]
        for end in (self._console, self._agent, self._serial, self._events, *ttys):
            end.close()
        os.close(self.stopped_fd)

    def set_balloon(self, mib: int) -> None:
        if mib >= 256:
            raise ConfigError("leave the guest some")
        self.balloon_mib = mib

    def ask_balloon_statistics(self) -> None:
        self.asked = True

    def balloon(self) -> dict[str, object] | None:
        return {"target_bytes": self.balloon_mib << 20, "statistics": {4: 1000}}

    def exits(self) -> dict[str, dict[str, int]]:
        return {"reasons": {"io": 1}, "ports": {"0xcf9": 1}, "devices": {"reset": 1}}

    def last_exits(self) -> list[str]:
        return ["io write 0xcf9 0xe (vcpu 0)"]

    def registers(self) -> list[dict[str, int]]:
        return [{"vcpu": 0, "rip": 0x1000}]

    def read_memory(self, gpa: int, size: int) -> bytes:
        if gpa >= 0x1000:
            raise ValueError("no guest memory at that address and size")
        return b"L" * size


def module() -> ModuleType:
    """A new ``kvm._core``; its ``made`` lists the machines created through it."""
    core = ModuleType("kvm._core")
    made: list[FakeMachine] = []

    def create(record: dict[str, Any]) -> FakeMachine:
        kernel = record["kernel"]
        for name, error in (("bad-config", ConfigError), ("bad-load", LoadError)):
            if kernel == name:
                raise error(f"{kernel}: do something about it")
        if kernel == "bad-kvm":
            raise KvmError("KVM_CREATE_VM: Invalid argument")
        made.append(FakeMachine(record))
        return made[-1]

    for member in (ConfigError, LoadError, KvmError, StopInfo):
        setattr(core, member.__name__, member)
    core.__dict__.update(Machine=create, made=made)
    return core


def _pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    ours.settimeout(10)
    return ours, theirs
