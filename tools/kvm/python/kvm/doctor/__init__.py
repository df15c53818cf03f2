# SPDX-License-Identifier: GPL-2.0-only
"""Finds out whether this machine can build and boot; every finding has a hint what to do.

facts (what is there) → checks (what it means, pure) → render (table, plain or JSON).
"""

from kvm.doctor.collect import collect
from kvm.doctor.kvm_device import Probe, ProbeResult
from kvm.doctor.model import Check, Report, State
from kvm.doctor.render import show, text

__all__ = ["Check", "Probe", "ProbeResult", "Report", "State", "collect", "show", "text"]
