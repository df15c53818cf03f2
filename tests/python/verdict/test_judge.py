# SPDX-License-Identifier: GPL-2.0-only
"""Every rule of the judge, and the order of the rules if two of them apply."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path
from typing import Any

import pytest

from kvm.verdict.console import parse_console
from kvm.verdict.judge import Deadline, Observation, WorkerError, judge
from kvm.verdict.symbols import SystemMap
from kvm.verdict.vocabulary import Evidence, Outcome, Reason, Verdict

PASSED = Observation(
    command=("true",), hello=True, exit_code=0, stop="reset", stop_detail="0xcf9", worker_status=0
)
PANIC = parse_console("[    1.000000] Kernel panic - not syncing: why\n")
OOPS = parse_console(
    "[    1.000000] BUG: kernel NULL pointer dereference, address: 0000000000000008\n"
    "[    1.000001] Oops: Oops: 0000 [#1] SMP\n[    1.000002] RIP: 0010:broken+0x1/0x2\n"
    "[    1.000003] ---[ end trace 0000000000000000 ]---\n"
)
LOCKUP = parse_console(
    "[   48.000001] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [insmod:91]\n"
    "[   48.000004] RIP: 0010:busy_wait+0x10/0x20\n"
)
WARN = parse_console(
    "[    1.000000] WARNING: CPU: 0 PID: 1 at a.c:1 odd+0x1/0x2\n"
    "[    1.000003] ---[ end trace 0000000000000000 ]---\n"
)
RUNNING: dict[str, Any] = {"exit_code": None, "stop": "stopped"}


def _judge(**changes: Any) -> Outcome:
    return judge(dataclasses.replace(PASSED, **changes))


CASES: dict[str, tuple[dict[str, Any], Verdict, Reason, str]] = {
    "pass": ({}, Verdict.PASS, Reason.OK, "`true` exited with 0"),
    "hang-in-an-initcall-that-the-guest-told-of": (
        {
            "hello": False,
            "deadline": Deadline.SILENCE,
            "deadline_s": 6.0,
            "running_initcall": "virtio_blk_init",
            **RUNNING,
        },
        Verdict.FAIL,
        Reason.HANG,
        "silent for 6 s in initcall virtio_blk_init, before init said hello",
    ),
    "panic-that-only-the-guest-told-of": (
        {"hello": False, "exit_code": None, "reported_death": ("panic", "no init found")},
        Verdict.FAIL,
        Reason.KERNEL_PANIC,
        "the guest told of its panic: no init found (before init said hello)",
    ),
    "pass-without-command": (
        {"command": (), "exit_code": None},
        Verdict.PASS,
        Reason.OK,
        "booted to init",
    ),
    "interrupted": (
        {"interrupted": "interrupted", **RUNNING},
        Verdict.ERROR,
        Reason.INFRASTRUCTURE,
        "interrupted",
    ),
    "interrupted-is-no-verdict-even-after-a-panic": (
        {"interrupted": "interrupted", "findings": PANIC, **RUNNING},
        Verdict.ERROR,
        Reason.INFRASTRUCTURE,
        "interrupted",
    ),
    "host-oops": (
        {"host_findings": OOPS, "host_lost": "QEMU exited", **RUNNING},
        Verdict.FAIL,
        Reason.HOST_PANIC,
        "host kernel: kernel NULL pointer dereference in broken",
    ),
    "host-panic-after-all-was-well": (
        {"host_findings": PANIC},
        Verdict.FAIL,
        Reason.HOST_PANIC,
        "host kernel: Kernel panic: why",
    ),
    "emulator-died": (
        {"host_lost": "QEMU was killed by SIGABRT", "worker_status": None, **RUNNING},
        Verdict.ERROR,
        Reason.INFRASTRUCTURE,
        "lost the lab host: QEMU was killed by SIGABRT",
    ),
    "a-worker-stuck-in-a-kvm-that-stalls": (
        {"host_findings": LOCKUP, "host_lost": "it hangs", "host_hung": True, **RUNNING},
        Verdict.FAIL,
        Reason.HANG,
        "host kernel: soft lockup of insmod in busy_wait",
    ),
    "a-vcpu-stuck-in-a-kvm-that-stalls": (
        {
            "host_findings": LOCKUP,
            "worker_error": WorkerError("kvm", "KVM_RUN: the vCPUs did not stop"),
            "hello": False,
            **RUNNING,
        },
        Verdict.FAIL,
        Reason.HANG,
        "host kernel: soft lockup of insmod in busy_wait",
    ),
    "a-host-that-stalls-for-want-of-a-cpu-and-hangs": (
        {
            "host_findings": LOCKUP,
            "host_lost": "it hangs",
            "host_hung": True,
            "spoilt": True,
            **RUNNING,
        },
        Verdict.ERROR,
        Reason.INFRASTRUCTURE,
        "lost the lab host: it hangs",
    ),
    "an-emulator-that-died-after-a-stall": (
        {"host_findings": LOCKUP, "host_lost": "QEMU was killed by SIGKILL", **RUNNING},
        Verdict.ERROR,
        Reason.INFRASTRUCTURE,
        "lost the lab host: QEMU was killed by SIGKILL",
    ),
    "config-refused": (
        {"worker_error": WorkerError("config", "vcpus is 0"), "worker_status": 2, "hello": False},
        Verdict.ERROR,
        Reason.VMM_ERROR,
        "vcpus is 0",
    ),
    "kvm-refused": (
        {
            "worker_error": WorkerError("kvm", "KVM_CREATE_VM: x"),
            "worker_status": 2,
            "hello": False,
        },
        Verdict.ERROR,
        Reason.VMM_ERROR,
        "KVM_CREATE_VM: x",
    ),
    "vcpus-that-do-not-stop": (
        {"worker_error": WorkerError("kvm", "KVM_RUN: stuck"), "worker_status": 3},
        Verdict.FAIL,
        Reason.VMM_ERROR,
        "KVM_RUN: stuck after the command ended",
    ),
    "vmm-segfault": (
        {"worker_status": -11, "exit_code": None, "stop": None},
        Verdict.FAIL,
        Reason.VMM_CRASH,
        "the VMM was killed by SIGSEGV while the command ran",
    ),
    "vmm-crash-at-its-end-spoils-a-pass": (
        {"worker_status": -6},
        Verdict.FAIL,
        Reason.VMM_CRASH,
        "the VMM was killed by SIGABRT after the command ended",
    ),
    "our-own-kill-after-a-deadline-is-no-crash": (
        {"worker_status": -9, "deadline": Deadline.TOTAL, "deadline_s": 60.0, **RUNNING},
        Verdict.ERROR,
        Reason.TIMEOUT,
        "not done after 60 s, stopped while the command ran",
    ),
    "guest-panic": (
        {"findings": PANIC, "hello": False, "exit_code": None},
        Verdict.FAIL,
        Reason.KERNEL_PANIC,
        "Kernel panic: why",
    ),
    "guest-oops-then-panic": (
        {"findings": OOPS + PANIC, "exit_code": None},
        Verdict.FAIL,
        Reason.KERNEL_OOPS,
        "kernel NULL pointer dereference in broken, then Kernel panic: why",
    ),
    "oops-outweighs-an-earlier-warning": (
        {"findings": WARN + OOPS},
        Verdict.FAIL,
        Reason.KERNEL_OOPS,
        "kernel NULL pointer dereference in broken",
    ),
    "oops-although-the-command-succeeded": (
        {"findings": OOPS},
        Verdict.FAIL,
        Reason.KERNEL_OOPS,
        "kernel NULL pointer dereference in broken",
    ),
    "lockup-explains-the-silence": (
        {"findings": LOCKUP, "deadline": Deadline.SILENCE, "deadline_s": 30.0, **RUNNING},
        Verdict.FAIL,
        Reason.HANG,
        "soft lockup of insmod in busy_wait",
    ),
    "panic-explains-the-silence": (
        {"findings": PANIC, "deadline": Deadline.SILENCE, "deadline_s": 30.0, **RUNNING},
        Verdict.FAIL,
        Reason.KERNEL_PANIC,
        "Kernel panic: why",
    ),
    "panic-explains-the-triple-fault": (
        {"findings": PANIC, "stop": "shutdown", "exit_code": None},
        Verdict.FAIL,
        Reason.KERNEL_PANIC,
        "Kernel panic: why",
    ),
    "kvm-internal-error": (
        {"stop": "internal_error", "stop_detail": "emulation failed", "exit_code": None},
        Verdict.FAIL,
        Reason.VMM_ERROR,
        "KVM internal error: emulation failed",
    ),
    "fail-entry": (
        {"stop": "fail_entry", "stop_detail": "reason 0x80000021", "exit_code": None},
        Verdict.FAIL,
        Reason.VMM_ERROR,
        "KVM could not enter the guest: reason 0x80000021",
    ),
    "vmm-gave-up": (
        {"stop": "vmm_error", "stop_detail": "KVM_RUN: Bad address", "exit_code": None},
        Verdict.FAIL,
        Reason.VMM_ERROR,
        "the VMM gave up: KVM_RUN: Bad address",
    ),
    "triple-fault": (
        {"stop": "shutdown", "exit_code": None, "hello": False, "registers": ({"rip": 0x1000},)},
        Verdict.FAIL,
        Reason.KERNEL_PANIC,
        "triple fault at 0x1000 before init said hello",
    ),
    "triple-fault-is-no-clean-end": (
        {"stop": "shutdown"},
        Verdict.FAIL,
        Reason.KERNEL_PANIC,
        "triple fault after the command ended",
    ),
    "silence-in-boot": (
        {"deadline": Deadline.SILENCE, "deadline_s": 30.0, "hello": False, **RUNNING},
        Verdict.FAIL,
        Reason.HANG,
        "silent for 30 s before init said hello",
    ),
    "silence-at-reboot": (
        {"deadline": Deadline.SILENCE, "deadline_s": 2.5, "stop": "stopped"},
        Verdict.FAIL,
        Reason.HANG,
        "silent for 2.5 s after the command ended",
    ),
    "total-deadline": (
        {"deadline": Deadline.TOTAL, "deadline_s": 600.0, **RUNNING},
        Verdict.ERROR,
        Reason.TIMEOUT,
        "not done after 600 s, stopped while the command ran",
    ),
    "total-deadline-of-a-test": (
        {"deadline": Deadline.TOTAL, "deadline_s": 600.0, "bounded": True, **RUNNING},
        Verdict.FAIL,
        Reason.TIMEOUT,
        "not done after 600 s, stopped while the command ran",
    ),
    "host-stall-explains-the-silence": (
        {
            "host_findings": LOCKUP,
            "deadline": Deadline.SILENCE,
            "deadline_s": 30.0,
            **RUNNING,
        },
        Verdict.FAIL,
        Reason.HANG,
        "host kernel: soft lockup of insmod in busy_wait",
    ),
    "host-stall-does-not-matter-when-all-went-through": (
        {"host_findings": LOCKUP},
        Verdict.PASS,
        Reason.OK,
        "`true` exited with 0",
    ),
    "init-could-not": (
        {"guest_error": "mount /proc: No such device", "exit_code": None},
        Verdict.ERROR,
        Reason.INFRASTRUCTURE,
        "guest init: mount /proc: No such device",
    ),
    "worker-traceback": (
        {"worker_status": 1, "stop": None, "exit_code": None},
        Verdict.ERROR,
        Reason.VMM_ERROR,
        "the VMM worker exited with status 1 while the command ran",
    ),
    "command-failed": (
        {"command": ("sh", "-c", "exit 7"), "exit_code": 7},
        Verdict.FAIL,
        Reason.GUEST_EXIT,
        "`sh -c exit 7` exited with 7",
    ),
    "command-killed": (
        {"command": ("crash",), "exit_code": 139, "exit_signal": 11},
        Verdict.FAIL,
        Reason.GUEST_EXIT,
        "`crash` was killed by SIGSEGV",
    ),
    "command-failure-outweighs-a-warning": (
        {"command": ("false",), "exit_code": 1, "findings": WARN},
        Verdict.FAIL,
        Reason.GUEST_EXIT,
        "`false` exited with 1",
    ),
    "reset-before-hello": (
        {"hello": False, "exit_code": None},
        Verdict.FAIL,
        Reason.GUEST_EXIT,
        "guest reset before init said hello",
    ),
    "reset-before-hello-without-command": (
        {"command": (), "hello": False, "exit_code": None},
        Verdict.FAIL,
        Reason.GUEST_EXIT,
        "guest reset before init said hello",
    ),
    "reset-before-exit": (
        {"exit_code": None},
        Verdict.FAIL,
        Reason.GUEST_EXIT,
        "guest reset before the command ended",
    ),
    "system-event": (
        {"exit_code": None, "stop": "system_event", "stop_detail": "crash"},
        Verdict.FAIL,
        Reason.GUEST_EXIT,
        "guest stopped (crash) before the command ended",
    ),
    "warning-spoils-a-good-exit-code": (
        {"findings": WARN},
        Verdict.FAIL,
        Reason.KERNEL_WARNING,
        "WARNING at a.c:1 odd",
    ),
    "warning-allowed": (
        {"findings": WARN, "allow_warnings": True},
        Verdict.PASS,
        Reason.OK,
        "`true` exited with 0",
    ),
    "host-warning": (
        {"host_findings": WARN},
        Verdict.FAIL,
        Reason.KERNEL_WARNING,
        "host kernel: WARNING at a.c:1 odd",
    ),
    "no-news-is-no-good-news": (
        {"hello": False, "exit_code": None, "stop": None, "worker_status": 0},
        Verdict.ERROR,
        Reason.INFRASTRUCTURE,
        "no proof of success: no hello from init, no exit code of the command, "
        "stop was not reported, not reset",
    ),
    "stopped-by-nobody": (
        {"stop": "stopped"},
        Verdict.ERROR,
        Reason.INFRASTRUCTURE,
        "no proof of success: stop was stopped, not reset",
    ),
    "panic-was-wanted": (
        {"findings": PANIC, "exit_code": None, "expected": Reason.KERNEL_PANIC},
        Verdict.PASS,
        Reason.OK,
        "as expected: Kernel panic: why",
    ),
    "panic-was-wanted-and-did-not-come": (
        {"expected": Reason.KERNEL_PANIC},
        Verdict.FAIL,
        Reason.GUEST_EXIT,
        "kernel-panic was expected: `true` exited with 0",
    ),
    "another-failure-than-the-wanted-one": (
        {"findings": OOPS, "expected": Reason.KERNEL_PANIC},
        Verdict.FAIL,
        Reason.KERNEL_OOPS,
        "kernel NULL pointer dereference in broken",
    ),
    "infrastructure-trouble-is-never-expected": (
        {"host_lost": "QEMU exited", "expected": Reason.INFRASTRUCTURE},
        Verdict.ERROR,
        Reason.INFRASTRUCTURE,
        "lost the lab host: QEMU exited",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rule(name: str) -> None:
    changes, verdict, reason, summary = CASES[name]
    outcome = _judge(**changes)
    assert (outcome.verdict, outcome.reason, outcome.summary) == (verdict, reason, summary)


@pytest.mark.parametrize("name", CASES)
def test_summary_is_one_line_and_failures_can_be_compared(name: str) -> None:
    outcome = _judge(**CASES[name][0])
    assert "\n" not in outcome.summary
    wanted_but_absent = "was expected" in outcome.summary
    assert bool(outcome.signature) or outcome.verdict is not Verdict.FAIL or wanted_but_absent


@pytest.mark.parametrize("missing", ["hello", "exit_code", "stop"])
def test_every_piece_of_proof_is_needed(missing: str) -> None:
    default = {"hello": False, "exit_code": None, "stop": None}[missing]
    assert not _judge(**{missing: default}).ok


def test_an_empty_observation_is_no_pass() -> None:
    assert judge(Observation()).verdict is Verdict.ERROR


def _evidence(outcome: Outcome) -> dict[str, tuple[str, ...]]:
    return {item.kind: item.lines for item in outcome.evidence}


def test_hang_shows_where_the_vcpus_stand(tmp_path: Path) -> None:
    path = tmp_path / "System.map"
    path.write_text("ffffffff81000100 t spin\nffffffff81000180 T next\n")
    outcome = _judge(
        deadline=Deadline.SILENCE,
        deadline_s=10.0,
        registers=({"vcpu": 0, "rip": 0xFFFFFFFF81000104, "rsp": 16, "rflags": 2},),
        last_exits=("io write 0x3f8 0x41",),
        stop_detail="silence",
        console_tail=("last words",),
        symbols=SystemMap(path),
        **RUNNING,
    )
    assert outcome.summary == "silent for 10 s while the command ran at spin+0x4/0x80"
    assert _evidence(outcome) == {
        "stop": ("stopped: silence",),
        "registers": (
            "vcpu0 rip is spin+0x4/0x80",
            "   rip ffffffff81000104    rsp 0000000000000010 rflags 0000000000000002",
        ),
        "last exits": ("io write 0x3f8 0x41",),
        "console tail": ("last words",),
    }


def test_vmm_crash_shows_its_stderr() -> None:
    outcome = _judge(worker_status=-6, worker_stderr=("assertion failed: queue.hpp:12", ""))
    assert Evidence("VMM stderr", ("assertion failed: queue.hpp:12",)) in outcome.evidence
    assert outcome.signature == "VMM SIGABRT"


def test_first_report_in_full_others_by_title() -> None:
    shown = _evidence(_judge(findings=OOPS + PANIC))
    assert shown["console"] == OOPS[0].lines
    assert shown["also on the console"] == ("line 1: Kernel panic: why",)


def test_long_report_loses_its_middle() -> None:
    flood = "".join(f"[    1.000000] r{i}\n" for i in range(150))
    long = parse_console("[    1.000000] Kernel panic - not syncing: why\n" + flood)
    lines = _evidence(_judge(findings=long, exit_code=None))["console"]
    assert len(lines) == 48
    assert "lines ..." in lines[39]
    assert lines[-1].endswith("r149")


def test_quiet_guest_is_judged_by_its_printk_buffer() -> None:
    text = b"Kernel panic - not syncing: unheard\n\0"
    ring = struct.pack("<Q", 5) + text + bytes(4096)
    outcome = _judge(log_buf=ring, hello=False, exit_code=None)
    assert outcome.reason is Reason.KERNEL_PANIC
    assert outcome.summary == "Kernel panic: unheard"


def test_setup_error_keeps_its_first_line_as_summary() -> None:
    error = WorkerError("load", "vmlinux is no ELF\n  → give a vmlinux")
    outcome = _judge(worker_error=error, hello=False)
    assert outcome.summary == "vmlinux is no ELF"
    assert _evidence(outcome)["VMM message"] == ("  → give a vmlinux",)


def test_a_vmm_killed_as_planned_passes_unless_its_kernel_had_complained() -> None:
    killed = {"worker_status": -9, "exit_code": None, "stop": None, "expected": Reason.VMM_CRASH}
    assert _judge(**killed).verdict is Verdict.PASS
    assert _judge(**killed, findings=WARN).reason is Reason.KERNEL_WARNING
