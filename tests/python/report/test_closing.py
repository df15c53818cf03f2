# SPDX-License-Identifier: GPL-2.0-only
"""The exact text at the end of a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from kvm.report.closing import closing, closing_line
from kvm.run.record import GuestFacts, KernelFacts, RunRecord, Timings
from kvm.verdict.vocabulary import Evidence, Outcome, Reason, Verdict

PASSED = RunRecord(
    outcome=Outcome(Verdict.PASS, Reason.OK, "`true` exited with 0"),
    host="lab",
    exit_code=0,
    kernel=KernelFacts(release="6.12.117+g1a2b3c"),
    guest=GuestFacts(cpus=1, memory_mib=256),
    timings=Timings(
        kernel_build=4.6, vmm_build=0.2, host_boot=1.0, vmm_start=0.3, guest_init=0.6, total=7.06
    ),
    run_dir=Path("/src/build/runs/0007"),
)
FAILED = dataclasses.replace(
    PASSED,
    outcome=Outcome(
        Verdict.FAIL,
        Reason.KERNEL_OOPS,
        "kernel NULL pointer dereference in kvm_vcpu_ioctl",
        (
            Evidence("console", ("[    1.0] BUG: kernel NULL pointer dereference", "")),
            Evidence("last exits", ("io write 0x3f8 0x41",)),
        ),
    ),
    exit_code=1,
    repeat="./invoke boot -- true",
)


def test_pass_is_one_line() -> None:
    assert closing(PASSED, base=Path("/src")) == (
        "PASS 6.12.117+g1a2b3c host=lab vcpus=1 build=4.8s boot=0.9s total=7.1s"
        " run=build/runs/0007\n"
    )


def test_failure_shows_evidence_then_the_line() -> None:
    assert closing(FAILED, base=Path("/src")) == (
        "kernel-oops: kernel NULL pointer dereference in kvm_vcpu_ioctl\n"
        "  console:\n"
        "    [    1.0] BUG: kernel NULL pointer dereference\n"
        "\n"
        "  last exits:\n"
        "    io write 0x3f8 0x41\n"
        "  console log: build/runs/0007/console.log\n"
        "  repeat: ./invoke boot -- true\n"
        "FAIL kernel-oops 6.12.117+g1a2b3c host=lab vcpus=1 build=4.8s boot=0.9s total=7.1s"
        " run=build/runs/0007\n"
    )


def test_stages_that_did_not_happen_are_left_out() -> None:
    bare = RunRecord(
        outcome=Outcome(Verdict.ERROR, Reason.INFRASTRUCTURE, "interrupted"),
        host="native",
        exit_code=125,
    )
    assert closing_line(bare) == "ERROR infrastructure host=native vcpus=1"


def test_paths_elsewhere_stay_whole() -> None:
    assert closing_line(PASSED, base=Path("/other")).endswith(" run=/src/build/runs/0007")


def test_colour_only_where_asked_for() -> None:
    assert closing_line(PASSED, colour=True).startswith("\x1b[32mPASS\x1b[0m 6.12")
    assert "\x1b" not in closing(FAILED)
