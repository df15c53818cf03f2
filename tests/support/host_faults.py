# SPDX-License-Identifier: GPL-2.0-only
"""Kernel faults that occur only in a lab host, and every command by which a user may meet them.

A fault is planted in the copy of the checkout that ``--planted`` uses, so no kernel of the user is
touched. It is in code that runs only in a kernel with KVM's hardware support: the same image
reports nothing as a guest, and only the lab host's console shows the fault.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvm import process
from kvm.matrix.planted_copy import Copy

CELL = "lab-vcpus1-mmio-boot"
_CREATE_VM = ("virt/kvm/kvm_main.c", "static int kvm_dev_ioctl_create_vm(unsigned long type)\n{\n")
_RUN = ("arch/x86/kvm/x86.c", "int kvm_arch_vcpu_ioctl_run(struct kvm_vcpu *vcpu)\n{\n")
_SETUP = ("arch/x86/kvm/svm/svm.c", "static __init int svm_hardware_setup(void)\n{\n")


@dataclass(frozen=True)
class Fault:
    """``code`` is inserted at the start of the function ``at``; ``verdicts`` are the right ones."""

    name: str
    at: tuple[str, str]
    code: str
    config: str = ""
    verdicts: tuple[tuple[str, str], ...] = (("FAIL", "kernel-warning"),)


FAULTS = (
    Fault("warns-once", _CREATE_VM, "\tWARN_ON_ONCE(type == 0);\n"),
    Fault("warns-at-boot", _SETUP, "\tWARN_ON_ONCE(1);\n"),
    Fault(
        "slow-boot",
        _SETUP,
        "\tu64 end = ktime_get_ns() + 9 * NSEC_PER_SEC;\n\n"
        "\twhile (ktime_get_ns() < end)\n\t\tcpu_relax();\n",
        verdicts=(("PASS", "ok"),),
    ),
    Fault(
        "stalls",
        _RUN,
        "\tpreempt_disable();\n\tfor (;;)\n\t\tcpu_relax();\n",
        config="CONFIG_RCU_CPU_STALL_TIMEOUT=3\n",
        verdicts=(("FAIL", "hang"), ("FAIL", "timeout")),
    ),
    Fault(
        "locks-both-ways",
        _CREATE_VM,
        "\tstatic DEFINE_MUTEX(one);\n\tstatic DEFINE_MUTEX(other);\n\n"
        "\tmutex_lock(&one);\n\tmutex_lock(&other);\n"
        "\tmutex_unlock(&other);\n\tmutex_unlock(&one);\n"
        "\tmutex_lock(&other);\n\tmutex_lock(&one);\n"
        "\tmutex_unlock(&one);\n\tmutex_unlock(&other);\n",
        config="CONFIG_PROVE_LOCKING=y\nCONFIG_KASAN=y\n",
    ),
    Fault(
        "uses-freed-memory",
        _CREATE_VM,
        "\tint *freed = kmalloc(16, GFP_KERNEL);\n\n"
        '\tkfree(freed);\n\tif (READ_ONCE(*freed) == 42)\n\t\tpr_info("unlikely\\n");\n',
        config="CONFIG_PROVE_LOCKING=y\nCONFIG_KASAN=y\n",
        verdicts=(("FAIL", "host-panic"), ("FAIL", "kernel-oops")),
    ),
)

# A suite that runs in the lab host itself, where its own machine enters the guest once.
_SUITE = '''
from pathlib import Path

from kvm.matrix.workload import Workload

_ENTER = """
import fcntl, os
kvm = os.open("/dev/kvm", os.O_RDWR)
vm = fcntl.ioctl(kvm, 0xAE01, 0)
vcpu = fcntl.ioctl(vm, 0xAE41, 0)
fcntl.ioctl(vcpu, 0xAE80, 0)
"""


def _run(bench):
    code, _ = bench.open_host().run_command(
        ("python3", "-c", _ENTER), cwd=Path("/"), timeout_s=20.0
    )
    bench.check("entered", code == 0)


WORKLOADS = (Workload("boot", _run, "nothing"),)
'''


def plant(copy: Copy, fault: Fault) -> None:
    """Break the copy's kernel with only this fault."""
    copy.undo()
    assert copy.kernel is not None
    name, start = fault.at
    source = copy.kernel.path / name
    text = source.read_text()
    assert text.count(start) == 1, f"{name} has changed: {start!r}"
    source.write_text(text.replace(start, start + fault.code))
    config = copy.project.linux / "configs" / "default.config"
    config.write_text(config.read_text() + fault.config)
    # The kernel that was last proved good must not stand in for the one that is examined.
    (copy.project.build / "lab" / "proven.json").unlink(missing_ok=True)


@dataclass(frozen=True)
class Seen:
    """The result of a command: verdict and reason, exit code, and all its output."""

    verdict: str
    reason: str
    code: int
    output: str


@dataclass(frozen=True)
class Doors:
    """The commands by which a kernel is examined, run in the copy."""

    copy: Copy
    payload: Path

    def knock(self, door: str) -> Seen:
        """Run one of ``DOORS``."""
        return DOORS[door](self)

    def build_and_boot(self) -> Seen:
        return self._run_record("build-and-boot", "--host", "lab")

    def boot(self) -> Seen:
        return self._run_record("boot", "--host", "lab", after=("--", "true"))

    def run_payload(self) -> Seen:
        return self._run_record("payload", str(self.payload), "--host", "lab", "--timeout", "30")

    def cell(self) -> Seen:
        code, output, record = self._json(
            *("test", "--matrix", "--subset", "full", "-k", CELL, "-n", "1", "--reruns", "0")
        )
        found = record.get("results", [{}])[0]
        return Seen(found.get("verdict", ""), found.get("reason", ""), code, output)

    def suite(self) -> Seen:
        folder = self.copy.project.root / "tools/kvm/python/kvm/matrix/workloads"
        module = folder / "zz_in_the_host.py"  # read last, so it replaces the plan's boot
        module.write_text(_SUITE)
        try:
            return self.cell()
        finally:
            module.unlink()

    def bisect_step(self) -> Seen:
        code, output = self._invoke("bisect-step", "--cell", CELL)
        verdict = {0: "PASS", 1: "FAIL"}.get(code, "ERROR")
        _, _, reason = output.partition("--reason ")
        return Seen(verdict, reason.split(" ")[0] if reason else "ok", code, output)

    def stop(self) -> None:
        self._invoke("lab.stop")

    def _run_record(self, *words: str, after: tuple[str, ...] = ()) -> Seen:
        code, output, record = self._json(*words, after=after)
        return Seen(record.get("verdict", ""), record.get("reason", ""), code, output)

    def _json(self, *words: str, after: tuple[str, ...] = ()) -> tuple[int, str, dict[str, Any]]:
        target = self.copy.project.root / "answer.json"
        target.unlink(missing_ok=True)
        code, output = self._invoke(*words, "--json", str(target), *after)
        record = json.loads(target.read_text()) if target.exists() else {}
        return code, output, record

    def _invoke(self, *words: str) -> tuple[int, str]:
        done = process.run(
            (sys.executable, "-m", "invoke", *words),
            cwd=self.copy.project.root,
            env=self.copy.environment,
            check=False,
            timeout_s=3600,
        )
        return done.returncode, done.output


DOORS: Mapping[str, Callable[[Doors], Seen]] = {
    "build-and-boot": Doors.build_and_boot,
    "boot": Doors.boot,
    "payload": Doors.run_payload,
    "cell": Doors.cell,
    "suite": Doors.suite,
    "bisect-step": Doors.bisect_step,
}
