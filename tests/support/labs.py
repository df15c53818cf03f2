# SPDX-License-Identifier: GPL-2.0-only
"""The lab host of this process; the commands of other tests have slots beside its."""

from __future__ import annotations

import os

from kvm.host import labs
from kvm.host.labs import LabStatus
from kvm.project import Project


def own(project: Project) -> LabStatus | None:
    """None if there is none: the ones that run belong to other tests' commands."""
    ours = (one for one in labs.statuses(project) if f"(pid {os.getpid()})" in (one.user or ""))
    return next(ours, None)
