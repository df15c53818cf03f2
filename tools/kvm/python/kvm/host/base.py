# SPDX-License-Identifier: GPL-2.0-only
"""The interface of every host: start a VMM worker, follow its events, run a command.

One thread at a time uses a host, except where noted. The worker protocol (JSON objects in and
out) is that of ``kvm.vm.worker``; a host carries it unchanged.
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
    """The host went away under its machines. ``console`` is its kernel's output."""

    def __init__(self, message: str, hint: str = "", *, console: str = "") -> None:
        super().__init__(message, hint)
        self.console = console


class HostPanic(HostLost):
    """The host's kernel, which is the tree's, panicked: a verdict on it."""


class HostRefused(HostPanic):
    """The host's kernel is up, but refuses its own modules or a mount: it can't be a lab host."""


class HostHung(HostLost):
    """The host exists but no longer answers."""


class Lease(Protocol):
    """Something that is held for a while."""

    def close(self) -> None:
        """Give it back; does nothing if it is already gone."""


class Session(Protocol):
    """One VMM worker. It ends by itself, by ``kill()``, or with its host."""

    @property
    def clock(self) -> GivenClock:
        """A clock of the time that this computer gives the machine; ``events()`` updates it."""

    @property
    def exit_status(self) -> int | None:
        """Exit code, or minus the signal that ended it; None while it runs or if its host is
        lost."""

    @property
    def stderr_tail(self) -> str:
        """The end of the worker's diagnostics."""

    def events(self, timeout_s: float = 0.2) -> Iterator[Event | None]:
        """The worker's events until it has ended; None after each ``timeout_s`` of silence.

        Raises ``HostLost`` (or ``HostPanic``, ``HostHung``) when the host is gone.
        """

    def send(self, message: Event) -> None:
        """Send a message of the worker protocol; ignored if the worker has ended."""

    def kill(self) -> None:
        """End it at once; ``events()`` then ends too."""


class Command(Protocol):
    """A command that runs in the background. The host's ``close`` ends it too."""

    def stop(self) -> str:
        """End it if it runs; return all its output. Call once. Raises ``HostLost``."""


class Host(Protocol):
    """A place where machines run."""

    @property
    def name(self) -> str:
        """``native`` or ``lab``."""

    @property
    def boot_s(self) -> float:
        """Seconds this command has spent bringing the host up; 0 if it was already up."""

    @property
    def restored(self) -> bool:
        """Whether it went on from a saved one: it did not boot."""

    @property
    def modules(self) -> Mapping[str, range]:
        """The kernel modules that were inserted into a lab host, and where they are."""

    @property
    def console(self) -> str:
        """The output of the host's own kernel since this command took it over."""

    @property
    def disk_folders(self) -> tuple[Path, ...]:
        """Folders, apart from the checkout's ``build``, in which machines there can write links."""

    @property
    def uplink(self) -> str:
        """The network by which a lab host reaches this machine, closed to guests; empty: none."""

    def lend_ports(self, ports: Sequence[tuple[Forward, Forward]]) -> Lease:
        """Forward ports of this machine to ports of a lab host until the lease is closed.

        Raises ``InfrastructureError``.
        """

    def seen(self, path: Path) -> Path:
        """The path at which the host sees our ``path``, uncached; ``path`` is a resolved one."""

    def start(self, artifact: Path, spec: Event, run: Event | None, *, run_dir: Path) -> Session:
        """Start a worker of the VMM in ``artifact``; ``run_dir`` becomes its folder."""

    @property
    def has_clone(self) -> bool:
        """Whether ``clone`` has a machine that goes on."""

    def clone(self, run: Event | None, *, run_dir: Path) -> Session | None:
        """Let a machine that was saved with this host go on, with this command if there is one.
        None: the host has no such machine, or has given it away."""

    def run_command(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout_s: float = 600.0,
        on_output: Callable[[str], None] | None = None,
    ) -> tuple[int, str]:
        """Run a command there to its end; return its exit code and output, stderr merged in.

        ``on_output`` gets each line as it comes. Raises ``CommandTimeout`` at the deadline.
        """

    def start_command(self, argv: Sequence[str | Path], *, cwd: Path | None = None) -> Command:
        """Start a command there and return at once."""

    def kept(self) -> Kept:
        """A measure, from now on, of how long this computer does not run what runs there."""

    def distrust(self, why: str) -> None:
        """Do not let a later command reuse this host, if it can be replaced."""

    def close(self) -> None:
        """End what this command started in the host, and release it."""


class CommandTimeout(InfrastructureError):
    """A command in a host was stopped at its deadline. ``output`` is what it wrote until then.

    ``starved``: this computer did not run it for that long.
    """

    def __init__(
        self, argv: Sequence[str | Path], timeout_s: float, output: str, *, starved: bool = False
    ) -> None:
        command = " ".join(str(word) for word in argv)
        why = ", most of which this computer did not run it," if starved else ""
        super().__init__(f"`{command}` took longer than {timeout_s:.0f} s{why} and was stopped")
        self.output = output
        self.starved = starved
