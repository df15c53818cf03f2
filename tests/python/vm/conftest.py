# SPDX-License-Identifier: GPL-2.0-only
"""The compiled core; and a worker of ``kvm.vm`` in a thread, with a fake machine and pipes."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kvm.kernel import headers
from kvm.lock import locked
from kvm.project import Project
from kvm.vm import build
from support.prepared import require

_MODULES_OF_CORE = ("kvm.vm.machine", "kvm.vm.worker")


def _fake_core() -> Any:
    """Load it by path, because the core that it replaces may not be built."""
    spec = importlib.util.spec_from_file_location(
        "fake_core", Path(__file__).with_name("fake_core.py")
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fake_core"] = module
    spec.loader.exec_module(module)
    return module.module()


@pytest.fixture(scope="session")
def compiled_core() -> ModuleType:
    """This checkout's core, which ``./invoke test`` has built before the tests."""
    project = Project.find()
    uapi = require(headers.installed(project), "the core is not built", "./invoke build")
    with locked(project.build / "build.lock", "a build", children=True):
        vmm = build.build(project, uapi, lambda _: None)
    (file,) = (vmm.folder / "kvm").glob("_core*.so")
    spec = importlib.util.spec_from_file_location("kvm._core", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch, compiled_core: ModuleType) -> Iterator[ModuleType]:
    """The compiled core as ``kvm._core``."""
    with _as_core(monkeypatch, compiled_core):
        yield compiled_core


@contextlib.contextmanager
def _as_core(monkeypatch: pytest.MonkeyPatch, core: Any) -> Iterator[None]:
    """Let ``kvm.vm`` import this module as ``kvm._core``."""
    import kvm

    monkeypatch.setitem(sys.modules, "kvm._core", core)
    monkeypatch.setattr(kvm, "_core", core, raising=False)
    for name in _MODULES_OF_CORE:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield
    for name in _MODULES_OF_CORE:
        sys.modules.pop(name, None)


class Worker:
    """``main`` running in a thread, and both ends of its pipes."""

    def __init__(self, module: Any, core: Any) -> None:
        self.module, self.core = module, core
        self._stdin_read, self._stdin = os.pipe()
        self._stdout, self._stdout_write = os.pipe()
        self.code: int | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._events = self._read_events()
        self._thread.start()

    def send(self, message: dict[str, Any]) -> None:
        os.write(self._stdin, json.dumps(message).encode() + b"\n")

    def start(self, run: dict[str, Any] | None = None, **spec: Any) -> Any:
        """Request a machine and return the fake once it has started."""
        record = {"kernel": "/vmlinux", "initrd": None, "cmdline": "quiet", **spec}
        self.send({"spec": record, "run": run})
        event = self.event()
        assert event["event"] == "started", event
        return self.core.made[-1]

    def event(self) -> dict[str, Any]:
        return next(self._events)

    def events_until(self, name: str) -> list[dict[str, Any]]:
        """All events up to and including the one called ``name``."""
        seen = [self.event()]
        while seen[-1]["event"] != name:
            seen.append(self.event())
        return seen

    def hang_up(self) -> None:
        """Act as if the parent process were gone."""
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1

    def join(self) -> int:
        self._thread.join(20)
        assert not self._thread.is_alive(), "the worker did not end"
        assert self.code is not None
        return self.code

    def close(self) -> None:
        self.hang_up()
        for machine in self.core.made:
            if not machine.closed:
                machine.finish("stopped")
        self._thread.join(20)
        for fd in (self._stdin_read, self._stdout, self._stdout_write):
            os.close(fd)

    def _run(self) -> None:
        self.code = self.module.main(self._stdin_read, self._stdout_write)

    def _read_events(self) -> Iterator[dict[str, Any]]:
        buffer = b""
        while True:
            while b"\n" not in buffer:
                buffer += os.read(self._stdout, 65536)
            line, _, buffer = buffer.partition(b"\n")
            yield json.loads(line)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    core = _fake_core()
    with _as_core(monkeypatch, core):
        running = Worker(importlib.import_module("kvm.vm.worker"), core)
        yield running
        running.close()
