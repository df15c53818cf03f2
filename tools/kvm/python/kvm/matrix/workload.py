# SPDX-License-Identifier: GPL-2.0-only
"""The interface of workloads, and of the bench with which they work.

A workload is a function that boots machines with its bench and checks what they did. It reads
from top to bottom: ``bench.boot`` returns only if the boot ended as expected, and each
``bench.check`` is a sub-result of the cell. A workload without any check has proved nothing,
and its cell is an ERROR.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypedDict, Unpack

from kvm.guest.initramfs import ExtraFile
from kvm.host.base import Host
from kvm.matrix.cell import Cell
from kvm.project import Project
from kvm.run.payload.options import PayloadOptions
from kvm.run.record import RunRecord
from kvm.spec.disk import DiskSpec
from kvm.spec.network import NetSpec, VsockSpec
from kvm.spec.share import ShareSpec
from kvm.verdict.ktap import Case
from kvm.verdict.vocabulary import Reason


@dataclass(frozen=True, slots=True)
class Boot:
    """How one machine ended, and all that its command wrote."""

    record: RunRecord
    stdout: bytes
    stderr: bytes
    console: str
    seconds: float

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")


def as_disk(image: Path, **more: Any) -> DiskSpec:
    """An image made by a workload, whatever its content; ``more`` are fields of ``DiskSpec``."""
    return DiskSpec(image, format_said=True, **more)


class Wants(TypedDict, total=False):
    """The options of a workload's boot, apart from the command.

    ``vcpus`` and ``memory_mib`` override the cell's; ``beside`` are commands that run on the
    machine's host meanwhile. ``expect`` is the reason the machine is meant to end with
    (``KERNEL_PANIC``, say; left out: PASS). ``kill_on``: kill the VMM (SIGKILL) as soon as stdout
    contains these bytes; that is then the expected end. ``quiet_s`` allows a longer silence than
    usual. ``known_warnings`` are signatures of WARNINGs that the command provokes on purpose.
    """

    disks: Sequence[DiskSpec]
    shares: Sequence[ShareSpec]
    nets: Sequence[NetSpec]
    vsock: VsockSpec
    vcpus: int
    memory_mib: int
    files: Sequence[ExtraFile]
    stdin: bytes
    append: str
    expect: Reason
    kill_on: bytes
    quiet_s: float
    beside: Sequence[Sequence[str]]
    known_warnings: Sequence[str]


class Bench(Protocol):
    """The tools of a workload, for one attempt at one cell."""

    @property
    def cell(self) -> Cell: ...

    @property
    def project(self) -> Project: ...

    @property
    def folder(self) -> Path:
        """This attempt's folder, which machines also see; disks are here."""

    @property
    def seed(self) -> int:
        """A seed, always the same for a cell; print it wherever randomness is used."""

    def boot(self, *command: str, **wants: Unpack[Wants]) -> Boot:
        """Boot the cell's machine with ``command`` in it. Raises ``CellFailed``."""

    def payload(self, options: PayloadOptions, name: str) -> RunRecord:
        """Run a payload on the cell's host, in a folder of this name; the caller judges it."""

    def host_files(self, paths: Sequence[Path]) -> Mapping[Path, str]:
        """The contents of files on the cell's host, without those that it can't read."""

    def new_disk(self, name: str, size_mib: int) -> Path:
        """An empty (sparse) image in ``folder``."""

    def check(self, name: str, ok: bool, note: str = "") -> None:
        """A sub-result. The first that is not ok makes the cell FAIL ``check-failed``."""

    def add(self, cases: Sequence[Case]) -> None:
        """Add sub-results that a suite reported, nested as they came."""

    def open_host(self, cpus: int = 1) -> Host:
        """The host of the machines, for commands in a lab host (``Host.run_command``).

        The lab host has at least ``cpus`` CPUs.
        """

    def say(self, text: str) -> None:
        """Say what is being done now, for progress."""

    def measured(self, name: str, seconds: float) -> None:
        """Keep a timing in the results."""


class CellFailed(Exception):
    """The cell's verdict is known: a machine did not end as expected. Caught by the runner."""


class CellSkipped(Exception):
    """This cell can't be tried here; the text says why."""


@dataclass(frozen=True, slots=True)
class Workload:
    """``proves`` is one line for ``--list``; ``deadline_s`` limits one attempt."""

    name: str
    run: Callable[[Bench], None]
    proves: str
    deadline_s: float = 60.0
