# SPDX-License-Identifier: GPL-2.0-only
"""A machine that the emulator may have lost is started again, and does not count as good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kvm.run.drive import Transcript
from kvm.run.lost_machines import Judged, lost_by_emulator, started_again
from kvm.run.observe import Attempt, Capture
from kvm.verdict.symbols import SystemMap
from kvm.verdict.vocabulary import Outcome, Reason, Verdict


class Place:
    """A host that only has a name, a console and KVM's modules."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.modules = {
            "kvm": range(0xFFFFFFFFC0100000, 0xFFFFFFFFC0180000),
            "kvm_amd": range(0xFFFFFFFFC0200000, 0xFFFFFFFFC0210000),
        }
        self.console = ""
        self.boot_s = 0.0


@pytest.fixture
def host_kernel(tmp_path: Path) -> SystemMap:
    path = tmp_path / "System.map"
    path.write_text(
        "ffffffff81010a20 T __svm_vcpu_run\nffffffff81010c10 T next\nffffffff81020000 T idle\n"
    )
    return SystemMap(path)


def attempt(host: str, stop: str, console: bytes = b"", rip: int = 0) -> Attempt:
    script = Transcript(result={"event": "result", "stop": stop, "registers": [{"rip": rip}]})
    script.console.feed(console)
    capture = Capture(lambda data: None, lambda data: None)
    place: Any = Place(host)
    return Attempt(("true",), script, capture, place, None, None)


@pytest.mark.parametrize(
    ("host", "stop", "console", "astray"),
    [
        ("lab", "shutdown", b"", True),
        ("lab", "shutdown", b"[    1.000000] Kernel panic - not syncing: real\n", False),
        ("lab", "reset", b"", False),
        ("native", "shutdown", b"", False),
    ],
)
def test_only_a_silent_triple_fault_in_a_lab_host_is_tried_again(
    host: str, stop: str, console: bytes, astray: bool, host_kernel: SystemMap
) -> None:
    assert lost_by_emulator(attempt(host, stop, console), host_kernel) is astray


@pytest.mark.parametrize(
    ("rip", "astray"),
    [(0x10ABC, True), (0x20010, False), (0x3F203000, True), (0x3F103000, False)],
)
def test_a_guest_behind_the_hosts_own_vmrun_is_tried_again(
    host_kernel: SystemMap, rip: int, astray: bool
) -> None:
    rip += 0xFFFFFFFF81000000
    warned = b"[    1.000000] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n"
    assert lost_by_emulator(attempt("lab", "stopped", warned, rip), host_kernel) is astray


@pytest.mark.parametrize(
    ("place", "astray"),
    [("7c10:0xffff8880008f1800", True), ("0010:f+0x1/0x2", False), ("0033:0x401000", False)],
)
def test_an_oops_in_a_code_segment_that_linux_has_not_is_tried_again(
    host_kernel: SystemMap, place: str, astray: bool
) -> None:
    words = (
        "Oops: general protection fault: 0000 [#1] SMP",
        f"RIP: {place}",
        "Kernel panic - not syncing: Fatal exception",
    )
    console = "".join(f"[    1.000000] {line}\n" for line in words).encode()
    assert lost_by_emulator(attempt("lab", "reset", console), host_kernel) is astray
    assert not lost_by_emulator(attempt("native", "reset", console), host_kernel)


def test_nobody_starts_a_machine_again_that_the_user_ended(host_kernel: SystemMap) -> None:
    ended = attempt("lab", "shutdown")
    ended.script.interrupted = "interrupted"
    assert not lost_by_emulator(ended, host_kernel)


PASSED = Outcome(Verdict.PASS, Reason.OK, "`true` exited with 0")
LOST = Outcome(Verdict.FAIL, Reason.KERNEL_PANIC, "triple fault", signature="triple fault in f")
OTHER = Outcome(Verdict.FAIL, Reason.GUEST_EXIT, "`true` exited with 1", signature="command 1")
TROUBLE = Outcome(Verdict.ERROR, Reason.INFRASTRUCTURE, "lost the lab host")


def _boots(host_kernel: SystemMap, *outcomes: Outcome) -> tuple[Outcome, int]:
    """The verdict on a machine whose boots end like this, and how many there were."""
    boots: list[Judged] = [
        (attempt("lab", "shutdown" if outcome is LOST else "reset"), outcome)
        for outcome in outcomes
    ]
    left = iter(boots)
    notes: list[str] = []
    _, outcome = started_again(next(left), lambda: next(left), host_kernel, notes.append)
    return outcome, 1 + len(notes)


@pytest.mark.parametrize(
    ("outcomes", "verdict", "summary", "boots"),
    [
        ((PASSED,), Verdict.PASS, PASSED.summary, 1),
        ((OTHER, PASSED), Verdict.FAIL, OTHER.summary, 1),
        ((LOST, PASSED), Verdict.FLAKY, "FLAKY (1/2): triple fault", 2),
        ((LOST, LOST, PASSED), Verdict.FLAKY, "FLAKY (2/3): triple fault", 3),
        ((LOST, LOST, LOST, PASSED), Verdict.FAIL, "triple fault", 3),
        ((LOST, OTHER), Verdict.FAIL, OTHER.summary, 2),
        ((LOST, TROUBLE), Verdict.ERROR, TROUBLE.summary, 2),
    ],
)
def test_a_guest_that_is_lost_in_some_of_its_boots(
    host_kernel: SystemMap,
    outcomes: tuple[Outcome, ...],
    verdict: Verdict,
    summary: str,
    boots: int,
) -> None:
    found, booted = _boots(host_kernel, *outcomes)
    assert (found.verdict, found.summary, booted) == (verdict, summary, boots)
    earlier = [item for item in found.evidence if item.kind == "earlier attempt"]
    assert len(earlier) == boots - 1


def test_a_flaky_machine_has_the_signature_of_its_failure_and_is_no_good_revision(
    host_kernel: SystemMap,
) -> None:
    found, _ = _boots(host_kernel, LOST, PASSED)
    assert (found.reason, found.signature) == (LOST.reason, LOST.signature)
    assert (found.ok, found.exit_code) == (False, 125)
