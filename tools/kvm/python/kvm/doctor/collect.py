# SPDX-License-Identifier: GPL-2.0-only
"""The doctor's entry point: gathers the facts, then judges them."""

from __future__ import annotations

from kvm.doctor.checks import judge
from kvm.doctor.facts import LabWords, gather
from kvm.doctor.kvm_device import Probe
from kvm.doctor.model import Report
from kvm.project import Project


def collect(project: Project, probe: Probe | None = None, lab: LabWords | None = None) -> Report:
    """Examine this machine for ``project``.

    ``probe`` runs a probe guest (None if the VMM is not built); ``lab`` describes a running lab
    host in words, or returns None.
    """
    return judge(gather(project, probe, lab))
