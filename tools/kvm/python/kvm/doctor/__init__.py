# SPDX-License-Identifier: GPL-2.0-only
"""Can this machine build and boot? Every finding comes with what to do about it.

facts (what is there) → judge (what it means, pure) → render (table, plain or JSON).
"""

from kvm.doctor.collect import collect
from kvm.doctor.kvm_device import Probe, ProbeResult
from kvm.doctor.model import Check, Report, State
from kvm.doctor.render import show, text

__all__ = ["Check", "Probe", "ProbeResult", "Report", "State", "collect", "show", "text"]
