# SPDX-License-Identifier: GPL-2.0-only
"""Snapshots that the user has named: booted machines, saved with their lab hosts.

The cache has the lab hosts themselves (``host/saved.py``); what is kept here by name is how one was
made. A clone answers for the kernel and the VMM of its snapshot, so it is refused once the
checkout has others.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kvm.errors import UserError
from kvm.files import write_whole
from kvm.host.lab_machine import LabSettings
from kvm.host.saved import snapshots_in
from kvm.host.snapshot import BootedMachine, Use
from kvm.project import Project
from kvm.run.halves import Halves
from kvm.run.images import claim_all
from kvm.run.options import BootOptions
from kvm.run.record import RunRecord
from kvm.spec import fields as spec_fields
from kvm.spec.network import NetKind

_BLOCK = 512  # bytes, of st_blocks
_LAB_MIB = 512  # what a lab host needs for itself
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# What a clone may be given; the rest was settled when the snapshot was made.
_OF_THE_RUN = frozenset(
    {"timeout_s", "deadline_s", "allow_warnings", "known_warnings", "name", "stdin", "shell"}
)
# Options whose machines have something of the developer's machine open, and why that can't be.
_UNFIT = {
    "shares": "a share is a folder of this machine",
    "root": "its root is a folder of this machine",
    "vsock": "a socket has connections outside of it",
    "ttys": "a serial line is a terminal of this machine",
    "vnc": "a display has viewers outside of it",
    "vfio_pci": "an assigned device is hardware",
    "lab_devices": "an assigned device is hardware",
    "hold_host": "its lab host would run another kernel's KVM",
    "from_": "it would be a clone of a clone",
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``typed`` are the options of its machine, ``command`` ran in it before it was saved.

    ``nonce`` is that of the machine, ``kernel`` the label for people. ``made`` is in seconds of the
    epoch.
    """

    name: str
    typed: Mapping[str, Any]
    command: tuple[str, ...]
    nonce: str
    kernel: str = ""
    kernel_id: str = ""
    vmm_id: str = ""
    made: float = 0.0

    @classmethod
    def load(cls, project: Project, name: str) -> Snapshot:
        """Raises ``UserError`` if there is none of this name."""
        _check_name(name)
        try:
            known = json.loads((_folder(project) / f"{name}.json").read_text(encoding="utf-8"))
            return cls(**{**known, "command": tuple(known["command"])})
        except FileNotFoundError:
            raise UserError(
                f"there is no snapshot {name}", "./invoke snapshot.list names those there are"
            ) from None
        except (OSError, ValueError, TypeError, KeyError) as bad:
            raise UserError(
                f"the snapshot {name} is unreadable: {bad}", f"./invoke snapshot.drop {name}"
            ) from bad

    def of(self, record: RunRecord) -> Snapshot:
        """The same as the run has made it that this is the record of."""
        kernel = record.kernel
        return replace(
            self,
            kernel=kernel.release,
            kernel_id=kernel.id,
            vmm_id=record.vmm_id,
            made=time.time(),
        )

    def keep(self, project: Project) -> None:
        _folder(project).mkdir(parents=True, exist_ok=True)
        text = json.dumps(dataclasses.asdict(self), indent=2)
        write_whole(_folder(project) / f"{self.name}.json", text + "\n")

    def saved(self, project: Project) -> Path | None:
        """The folder in the cache, if it is still there."""
        return next(snapshots_in(project.cache).folder.glob(f"*-{self.clone().key}"), None)

    def options(self, given: BootOptions) -> BootOptions:
        """The boot of a clone; ``given`` are the options of the run.

        Raises ``UserError`` for one that the snapshot has settled.
        """
        for field, one in spec_fields.options(BootOptions).items():
            value = getattr(given, field)
            if field not in {*_OF_THE_RUN, "from_", "host"} and value != one.default:
                raise UserError(
                    f"{next(iter(one.words(value)))} with --from {self.name}",
                    f"its machine has what ./invoke {self.words} gave it; leave that out",
                )
        if given.host == "native":
            raise UserError("--from with --host native", "a snapshot goes on in its lab host")
        own = {name: getattr(given, name) for name in (*_OF_THE_RUN, "command", "from_")}
        # It has copies of its disks; the images may be gone.
        return replace(spec_fields.read(BootOptions, self.typed), disks=(), host="lab", **own)

    def clone(self) -> BootedMachine:
        return BootedMachine(use=Use.NEED, nonce=self.nonce, hint=self._again)

    def require(self, project: Project, halves: Halves) -> None:
        """Raise ``UserError`` if the checkout has another kernel or VMM, or the cache lost it."""
        for half, ours, now in (
            ("kernel", self.kernel_id, halves.kernel.id),
            ("VMM", self.vmm_id, halves.vmm.id),
        ):
            if ours != now:
                raise UserError(
                    f"the snapshot {self.name} has the {half} {ours}, and this checkout {now}",
                    self._again,
                )
        if self.saved(project) is None:
            raise UserError(f"the snapshot {self.name} is not in the cache any more", self._again)

    @property
    def _again(self) -> str:
        return f"make it anew: ./invoke {self.words}"

    @property
    def words(self) -> str:
        """What makes it, after ./invoke."""
        options = spec_fields.read(BootOptions, self.typed)
        words = ["snapshot", self.name, *spec_fields.words(options)]
        return shlex.join([*words, *(("--", *self.command) if self.command else ())])


def of_options(name: str, options: BootOptions) -> BootedMachine:
    """The machine to be saved as ``name``. Raises ``UserError`` for one that can't be saved."""
    _check_name(name)
    require_fit(options)
    run = options.command
    command = {"argv": list(run), "env": {}} if run else None
    return BootedMachine(use=Use.MAKE, command=command, nonce=f"{name} {time.time_ns()}")


def fit(options: BootOptions) -> bool:
    """Whether this machine can be saved."""
    return next(_unfit(options), None) is None


def require_fit(options: BootOptions) -> None:
    """Raise ``UserError`` that names what keeps this machine from being saved."""
    for what, why, hint in _unfit(options):
        raise UserError(f"a machine with {what} can't be saved: {why}", hint)


def _unfit(options: BootOptions) -> Iterator[tuple[str, str, str]]:
    """What prevents it, each with the reason and the way out."""
    known = spec_fields.options(BootOptions)
    for field, why in _UNFIT.items():
        if getattr(options, field) != known[field].default:
            yield known[field].flag, why, "leave it out"
    if options.host == "native":
        yield "--host native", "a lab host is saved with the machine in it", "use --host lab"
    for net in options.nets:
        if net.kind is not NetKind.USER:
            yield f"--net {net.words()}", "a tap is an interface of one machine", "use --net user"
        elif net.forwards:
            why = "a port of this machine leads to one clone at most"
            yield f"--net {net.words()}", why, "leave out hostfwd"
    for disk in options.disks:
        if disk.written:
            hint = "write PATH,transient: the machine and its clones have a copy of their own"
            yield f"--disk {disk.words()}", "all its clones would write that image", hint
    used = sum(path.stat().st_blocks * _BLOCK for path in _images(options)) >> 20
    room = LabSettings().memory_mib - options.memory_mib - _LAB_MIB
    if used > max(room, 0):
        why = f"they have {used} MiB, and its lab host has room for a copy of {max(room, 0)} MiB"
        yield "these disks", why, "use smaller ones, or less --memory"


def _images(options: BootOptions) -> list[Path]:
    """The files of its disks, those of their backing files among them."""
    with contextlib.ExitStack() as held:
        return claim_all(options.disks, held)


def described(name: str, options: BootOptions, machine: BootedMachine) -> Snapshot:
    """A snapshot before it is made."""
    return Snapshot(
        name=name,
        typed=spec_fields.typed(replace(options, command=())),
        command=options.command,
        nonce=machine.nonce,
    )


def all_of(project: Project) -> Iterator[Snapshot]:
    """Every snapshot that can be read, by name."""
    for path in sorted(_folder(project).glob("*.json")):
        try:
            yield Snapshot.load(project, path.stem)
        except UserError:
            continue


def drop(project: Project, name: str) -> None:
    """Remove it. Raises ``UserError`` if there is none of this name."""
    path = _folder(project) / f"{name}.json"
    _check_name(name)
    if not path.exists():
        Snapshot.load(project, name)
    try:
        if (saved := Snapshot.load(project, name).saved(project)) is not None:
            snapshots_in(project.cache).drop(saved.name)
    except UserError:
        pass  # unreadable: its lab host will be pruned
    path.unlink(missing_ok=True)


def _folder(project: Project) -> Path:
    return project.cache / "snapshot-names"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} is no name for a snapshot", "use letters, digits, and _ . - inside"
        )
