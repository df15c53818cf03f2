# SPDX-License-Identifier: GPL-2.0-only
"""What a run left behind becomes facts for the judge, and nothing is made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kvm.host.base import HostHung, HostPanic
from kvm.run import observe
from kvm.run.drive import Transcript
from kvm.run.observe import Attempt, Capture
from kvm.verdict.judge import judge
from kvm.verdict.symbols import SystemMap
from kvm.verdict.vocabulary import Reason, Verdict


class Place:
    """A host that only has a name and a console."""

    def __init__(self, name: str) -> None:
        self.name = name
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
    return Attempt(("true",), script, capture, place, None, "")


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
    assert observe.went_astray(attempt(host, stop, console), host_kernel) is astray


@pytest.mark.parametrize(("rip", "astray"), [(0x10ABC, True), (0x20010, False)])
def test_a_guest_behind_the_host_s_own_vmrun_is_tried_again(
    host_kernel: SystemMap, rip: int, astray: bool
) -> None:
    rip += 0xFFFFFFFF81000000
    warned = b"[    1.000000] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n"
    assert observe.went_astray(attempt("lab", "stopped", warned, rip), host_kernel) is astray


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
    assert observe.went_astray(attempt("lab", "reset", console), host_kernel) is astray
    assert not observe.went_astray(attempt("native", "reset", console), host_kernel)


def test_a_kernel_that_panics_as_lab_host_is_a_kernel_panic() -> None:
    text = "[    0.100000] Kernel panic - not syncing: planted\n"
    outcome = judge(observe.not_up(HostPanic("it panicked", console=text), 3.0))
    assert (outcome.verdict, outcome.reason) == (Verdict.FAIL, Reason.KERNEL_PANIC)


def test_a_kernel_that_never_comes_up_is_a_hang() -> None:
    outcome = judge(observe.not_up(HostHung("silent", console=""), 120.0))
    assert (outcome.verdict, outcome.reason) == (Verdict.FAIL, Reason.HANG)


def test_a_capture_passes_all_on_and_keeps_the_beginning() -> None:
    out = bytearray()
    capture = Capture(out.extend, out.extend)
    for _ in range(100):
        capture.stdout(b"x" * 1024)
    assert len(out) == 100 << 10
    assert len(capture.text("stdout")) == 64 << 10
