# SPDX-License-Identifier: GPL-2.0-only
"""The doctor's entry: gather the facts, then judge them."""

from __future__ import annotations

from kvm.doctor.checks import judge
from kvm.doctor.facts import LabWords, gather
from kvm.doctor.kvm_device import Probe
from kvm.doctor.model import Report
from kvm.project import Project


def collect(project: Project, probe: Probe | None = None, lab: LabWords | None = None) -> Report:
    """Examine this machine for ``project``.

    ``probe`` runs a probe guest (None while the VMM is not built); ``lab`` tells in
    words that a lab host is running, or gives None.
    """
    return judge(gather(project, probe, lab))
