# SPDX-License-Identifier: GPL-2.0-only
"""Processors: all of them work, communicate, and match their CPUID."""

from __future__ import annotations

import re

from kvm.matrix.workload import Bench, Workload
from kvm.matrix.workloads import exercise

# KVM emulates these for a guest even if the host's CPU lacks them.
_EMULATED = {"hypervisor", "tsc_deadline_timer", "x2apic", "tsc_adjust", "arch_capabilities"}


def smp(bench: Bench) -> None:
    cpus = bench.cell.vcpus
    look = "cat /sys/devices/system/cpu/online; grep -c ^processor /proc/cpuinfo"
    done = exercise.run(bench, f"{look}; exercise smp {cpus}")
    online, listed = (*done.text.split()[:2], "", "")[:2]
    wanted = f"0-{cpus - 1}" if cpus > 1 else "0"
    bench.check("CPUs the kernel lists", (online, listed) == (wanted, str(cpus)), f"{online}")
    record = done.record
    bench.check("CPUs in init's hello", record.guest.cpus == cpus, f"{record.guest.cpus} of {cpus}")


def cpuid(bench: Bench) -> None:
    cpus = bench.cell.vcpus
    script = f"exercise cpuid {cpus}; cat /proc/cpuinfo"
    done = exercise.run(bench, script)
    guest = _flags(done.text)
    bench.check("flags for each CPU", len(guest) == cpus, f"{len(guest)} of {cpus}")
    alike = all(flags == guest[0] for flags in guest)
    bench.check("the kernel finds all CPUs alike", alike)
    found = guest[0] if guest else frozenset()
    bench.check("the kernel knows it is a guest", "hypervisor" in found)
    nested = found & {"svm", "vmx"}
    bench.check("the kernel finds no nesting", not nested, ", ".join(sorted(nested)))
    if bench.cell.host == "native":
        return
    code, text = bench.open_host().run_command(("cat", "/proc/cpuinfo"), timeout_s=20)
    host = _flags(text)
    bench.check("the host's flags are known", code == 0 and bool(host))
    # Flags that a kernel derives itself differ between two of its configurations.
    more = _of_the_cpu(found) - (host[0] if host else frozenset()) - _EMULATED
    bench.check(
        "no feature that the host's CPU lacks", not more, f"too many: {', '.join(sorted(more))}"
    )


def _flags(text: str) -> list[frozenset[str]]:
    return [frozenset(line.split()) for line in re.findall(r"^flags\s*: (.*)$", text, re.MULTILINE)]


def _of_the_cpu(flags: frozenset[str]) -> frozenset[str]:
    """Drop the flags that Linux makes up (arch/x86/include/asm/cpufeatures.h, words 3 and 8)."""
    made_up = {
        *("rep_good", "nopl", "xtopology", "cpuid", "tsc_known_freq", "constant_tsc", "up"),
        *("nonstop_tsc", "tsc_reliable", "arch_perfmon", "amd_dcm", "aperfmperf", "pti"),
        *("vmmcall", "ibrs", "ibpb", "stibp", "ssbd", "lfence_rdtsc", "mfence_rdtsc", "ht"),
        *("cmp_legacy", "rapl", "ibrs_enhanced", "extd_apicid", "syscall32", "sysenter32"),
    }
    return flags - made_up


WORKLOADS = (
    Workload("smp", smp, "all vCPUs compute at once, wake and interrupt each other", 90.0),
    Workload("cpuid", cpuid, "each vCPU's CPUID is right and all it offers can be executed", 60.0),
)
