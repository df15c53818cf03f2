# SPDX-License-Identifier: GPL-2.0-only
"""A machine that runs in this process: the compiled core behind a context manager.

The worker process and tests use it. The harness never imports it, so that a crash of the VMM
only ends a worker.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum
from types import TracebackType
from typing import Any

from kvm import _core
from kvm.errors import UserError
from kvm.spec import json_form
from kvm.spec.machine import MachineSpec
from kvm.spec.network import NetSpec

_SCRIPT_TIMEOUT_S = 30.0

# Called before a user's program runs, with its path and its time limit in seconds.
OnScript = Callable[[str, float], None]


class SetupFailure(Enum):
    """Which part of setting a machine up failed."""

    CONFIG = "config"
    LOAD = "load"
    KVM = "kvm"


class SetupError(Exception):
    """The machine could not be created; the message names the file or value and has a hint."""

    def __init__(self, kind: SetupFailure, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Machine:
    """Created by the constructor, runs between ``start`` and stop, is gone after the ``with``."""

    def __init__(self, spec: MachineSpec, on_script: OnScript = lambda program, limit_s: None):
        self._spec = spec
        self._on_script = on_script
        try:
            self._core = _core.Machine(_record(spec))
        except _core.ConfigError as error:
            raise SetupError(SetupFailure.CONFIG, str(error)) from error
        except _core.LoadError as error:
            raise SetupError(SetupFailure.LOAD, str(error)) from error
        except _core.KvmError as error:
            raise SetupError(SetupFailure.KVM, str(error)) from error
        self._taps = ExitStack()
        try:
            for net in spec.nets:
                self._run_script(net.script, net.tap)
                self._taps.callback(self._take_down, net)
        except UserError as error:
            self._close()
            raise SetupError(SetupFailure.CONFIG, str(error)) from error

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def take_down_taps(self) -> None:
        """Run the user's script before the taps are removed; it runs only once."""
        self._taps.close()

    def start(self) -> None:
        self._core.start()

    def stop(self) -> None:
        """Ask the vCPUs to stop; ``stopped_fd`` becomes readable when they have."""
        self._core.stop()

    def pause(self) -> None:
        """Keep the vCPUs out of the guest; raises ``SetupError`` if one does not leave it."""
        with _kvm_errors():
            self._core.pause()

    def resume(self) -> None:
        self._core.resume()

    def checkpoint(self) -> None:
        """Keep the state of a paused machine; ``ValueError`` or ``SetupError`` says why not."""
        with _kvm_errors():
            self._core.checkpoint()

    def rewind(self) -> None:
        """Put a paused machine back to its checkpoint.

        ``ValueError`` says what prevents it; after a ``SetupError`` the machine is of no use.
        """
        with _kvm_errors():
            self._core.rewind()

    @property
    def paused(self) -> bool:
        return self._core.paused

    def nmi(self, vcpu: int) -> None:
        """Send a non-maskable interrupt; raises ``ValueError`` that says why it is impossible."""
        self._core.nmi(vcpu)

    def serial_sysrq(self, key: str) -> None:
        """Send a break and ``key`` on the first serial line: magic SysRq, if the kernel listens."""
        self._core.serial_sysrq(key)

    def wait(self, timeout_s: float) -> _core.StopInfo | None:
        """Why the machine stopped, or None if it still runs after ``timeout_s``."""
        return self._core.wait(timeout_s)

    @property
    def console_fd(self) -> int:
        return self._core.console_fd

    @property
    def agent_fd(self) -> int:
        return self._core.agent_fd

    @property
    def serial_agent_fd(self) -> int:
        return self._core.serial_agent_fd

    @property
    def events_fd(self) -> int:
        return self._core.events_fd

    @property
    def output_unsent(self) -> bool:
        """Whether the descriptors will have more output once what is in them has been read."""
        return self._core.output_unsent

    def resize_console(self, columns: int, rows: int) -> None:
        """Set the size of the terminal that shows the guest's first virtio console."""
        self._core.resize_console(columns, rows)

    def connect_viewer(self) -> int:
        """A new socket for the caller that speaks RFB; ``ValueError`` says why there is none."""
        return self._core.connect_viewer()

    @property
    def tty_fds(self) -> dict[int, int]:
        """The host's ends of the user's serial lines, by line number."""
        return self._core.tty_fds

    @property
    def stopped_fd(self) -> int:
        return self._core.stopped_fd

    @property
    def cmdline(self) -> str:
        return self._core.cmdline

    @property
    def started_ns(self) -> int:
        return self._core.started_ns

    @property
    def event_paths(self) -> tuple[str, str]:
        """How the guest may send events, and how it did: hypercall, port or none."""
        return self._core.events_offered, self._core.events_seen

    def unsent_events(self) -> bytes:
        return self._core.unsent_events()

    @property
    def load_ns(self) -> int:
        return self._core.load_ns

    def set_balloon(self, mib: int) -> None:
        """Set how much memory the guest gives up; raises ``ValueError`` if that is impossible."""
        self._core.set_balloon(mib)

    def balloon(self) -> _core.Balloon | None:
        """The balloon's size and the guest's last statistics; requests newer ones."""
        state = self._core.balloon()
        self._core.ask_balloon_statistics()
        return state

    def exits(self) -> _core.Exits:
        return self._core.exits()

    def last_exits(self) -> list[str]:
        return self._core.last_exits()

    def registers(self) -> list[dict[str, int]]:
        return self._core.registers()

    def log_buf(self) -> bytes | None:
        """The kernel's log as it is in guest memory; None if its place is not known."""
        if self._spec.log_buf is None:
            return None
        try:
            return self._core.read_memory(*self._spec.log_buf)
        except ValueError:
            return None

    def _close(self) -> None:
        try:
            self._taps.close()
        finally:
            self._core.close()

    def _run_script(self, program: str, interface: str) -> None:
        """Run a user's program. Raises ``UserError`` if it fails or takes over half a minute."""
        if not program:
            return
        from kvm import process  # most machines need none, and the import takes long

        self._on_script(program, _SCRIPT_TIMEOUT_S)
        process.run((program, interface), timeout_s=_SCRIPT_TIMEOUT_S, env=process.UsersOwn())

    def _take_down(self, net: NetSpec) -> None:
        """Run the down script. The run is over, so a failure is only reported."""
        try:
            self._run_script(net.downscript, net.tap)
        except UserError as error:
            print(error, file=sys.stderr)


@contextmanager
def _kvm_errors() -> Iterator[None]:
    try:
        yield
    except _core.KvmError as error:
        raise SetupError(SetupFailure.KVM, str(error)) from error


def _record(spec: MachineSpec) -> Any:
    """The machine as the core reads it, without what only this process needs."""
    record = json_form.to_json(spec)
    del record["log_buf"]
    for net in record["nets"]:
        del net["script"], net["downscript"]
    return record
