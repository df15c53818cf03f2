# SPDX-License-Identifier: GPL-2.0-only
"""What every host offers: start a VMM worker, follow its events, run a command.

A host is used by one thread at a time except where said. The worker protocol (JSON
objects in and out) is that of ``kvm.vm.worker``; a host carries it and adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from kvm.errors import InfrastructureError
from kvm.host.given import GivenClock, Kept
from kvm.spec.network import Forward

Event = dict[str, Any]


class HostLost(InfrastructureError):
    """The host went away under its machines. ``console`` is the text of its kernel."""

    def __init__(self, message: str, hint: str = "", *, console: str = "") -> None:
        super().__init__(message, hint)
        self.console = console


class HostPanic(HostLost):
    """The host's kernel, which is the tree's, panicked: a verdict on it."""


class HostHung(HostLost):
    """The host is there but no longer answers."""


class Lease(Protocol):
    """Something that is held for a while."""

    def close(self) -> None:
        """Give it back. What is gone already needs no giving back."""


class Session(Protocol):
    """One VMM worker. It ends by itself, by ``kill()``, or with its host."""

    @property
    def clock(self) -> GivenClock:
        """Of the time that this computer gives the machine; ``events()`` looks at it."""

    @property
    def exit_status(self) -> int | None:
        """Exit code, or minus the signal that ended it; None while it runs, or without its host."""

    @property
    def stderr_tail(self) -> str:
        """The last of the worker's diagnostics."""

    def events(self, timeout_s: float = 0.2) -> Iterator[Event | None]:
        """The worker's events until it has ended; None after each ``timeout_s`` of silence.

        Raises ``HostLost`` (or ``HostPanic``, ``HostHung``) when the host is gone.
        """

    def send(self, message: Event) -> None:
        """A message of the worker protocol; a worker that has ended doesn't mind."""

    def kill(self) -> None:
        """End it at once; ``events()`` then comes to its end."""


class Command(Protocol):
    """A command that runs beside what else is done. The host's ``close`` ends it too."""

    def stop(self) -> str:
        """End it, if it has not ended: all its output. Once. Raises ``HostLost``."""


class Host(Protocol):
    """A place where machines run."""

    @property
    def name(self) -> str:
        """``native`` or ``lab``."""

    @property
    def boot_s(self) -> float:
        """Seconds this command has spent booting the host; 0 when it was there already."""

    @property
    def console(self) -> str:
        """What the host's own kernel has printed since this command took it over."""

    @property
    def disk_folders(self) -> tuple[Path, ...]:
        """Folders, besides the checkout's ``build``, that machines there can write links in."""

    @property
    def uplink(self) -> str:
        """The network by which a lab host reaches this machine, and no guest may; empty: none."""

    def lend_ports(self, ports: Sequence[tuple[Forward, Forward]]) -> Lease:
        """Have ports of this machine's lead to others of a lab host's, until that is closed.

        Raises ``InfrastructureError``.
        """

    def seen(self, path: Path) -> Path:
        """Where the host has this file or folder of ours, fresh; ``path`` is a real one."""

    def start(self, artifact: Path, spec: Event, run: Event | None, *, run_dir: Path) -> Session:
        """Start a worker of the VMM in ``artifact``; ``run_dir`` becomes its folder."""

    def run_command(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout_s: float = 600.0,
        on_output: Callable[[str], None] | None = None,
    ) -> tuple[int, str]:
        """Run a command there to its end: its exit code and output, stderr merged in.

        ``on_output`` sees each line as it comes. Raises ``CommandTimeout`` at the deadline.
        """

    def start_command(self, argv: Sequence[str | Path], *, cwd: Path | None = None) -> Command:
        """Start a command there and go on."""

    def kept(self) -> Kept:
        """For how long this computer does not run what runs there, from now on."""

    def distrust(self, why: str) -> None:
        """Let nobody find it again as it is, where another can be had."""

    def close(self) -> None:
        """End what this command started in the host, and let go of it."""


class CommandTimeout(InfrastructureError):
    """A command in a host was stopped at its deadline. ``output`` is what it had said.

    ``starved``: this computer did not run it for as long as that.
    """

    def __init__(
        self, argv: Sequence[str | Path], timeout_s: float, output: str, *, starved: bool = False
    ) -> None:
        command = " ".join(str(word) for word in argv)
        why = ", most of which this computer did not run it," if starved else ""
        super().__init__(f"`{command}` took longer than {timeout_s:.0f} s{why} and was stopped")
        self.output = output
        self.starved = starved
