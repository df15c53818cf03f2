# SPDX-License-Identifier: GPL-2.0-only
"""The lab hosts of a checkout that run: which they are, and their end."""

from __future__ import annotations

from dataclasses import dataclass

from kvm.host.instance import MAIN_SLOT, instances, slot_folder, slots
from kvm.lock import holder
from kvm.project import Project


@dataclass(frozen=True, slots=True)
class LabStatus:
    """A running lab host: its slot and key, QEMU's pid, and the command that uses it, if any."""

    slot: str
    key: str
    pid: int
    user: str | None

    def __str__(self) -> str:
        user = f"used by {self.user}" if self.user else "idle"
        return f"{self.slot}: running (QEMU pid {self.pid}, {user})"


def stop(project: Project, slot: str | None = None) -> int:
    """End this checkout's lab hosts (or those of one slot), whatever state they are in.

    Returns how many were running.
    """
    named = slots(project) if slot is None else (slot,)
    found = [one for name in named for one in instances(project, name)]
    running = [one for one in found if one.running]
    for one in found:
        one.discard()
    return len(running)


def status(project: Project, slot: str = MAIN_SLOT) -> LabStatus | None:
    """The lab host that runs in this slot."""
    for one in instances(project, slot):
        found = one.processes()
        if found is not None and found.qemu is not None and found.qemu.alive:
            user = holder(slot_folder(project, slot) / "lock")
            return LabStatus(slot, one.key, found.qemu.pid, user)
    return None


def statuses(project: Project) -> tuple[LabStatus, ...]:
    """Every lab host that runs for this checkout."""
    return tuple(s for slot in slots(project) if (s := status(project, slot)) is not None)
