# SPDX-License-Identifier: GPL-2.0-only
"""The kernel of this checkout as a lab host's."""

from __future__ import annotations

from kvm.host.kernel import HostKernel
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import halves
from kvm.run.hosts import as_host


def current() -> HostKernel:
    """Built, if it is not in the cache, with KVM's modules."""
    with Progress(live=False) as progress:
        return as_host(halves.build(Project.find(), progress).kernel)
