# SPDX-License-Identifier: GPL-2.0-only
"""The lab host of this process, in a slot that other tests' commands use in turn."""

from __future__ import annotations

import os

from kvm.host import lab
from kvm.host.lab import LabStatus
from kvm.project import Project


def own(project: Project) -> LabStatus | None:
    """None if there is none, or if it is another command's, for which ours waits."""
    status = lab.status(project)
    if status is None or f"(pid {os.getpid()})" not in (status.user or ""):
        return None
    return status
