# SPDX-License-Identifier: GPL-2.0-only
"""Our payloads pass in a lab host, and those that a limited KVM can run pass natively."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kvm.project import Project
from support import payloads
from support.payloads import PayloadRun

pytestmark = [pytest.mark.lab]

# Options of those that need more than one processor and 64 MiB.
_PAYLOADS: dict[str, dict[str, Any]] = {
    "apic": {},
    "high_memory": {"memory_mib": 5120},
    "hpet": {},
    "ipi": {"vcpus": 4},
    "mmio": {},
    "msr": {},
    "page_tables": {},
    "pic": {},
    "pit": {},
    "ports": {},
    "straddle": {},
    "string_io": {},
    "suspend": {"vcpus": 2},
    "svm": {"cpu": "host,+svm"},
    "test_device": {},
    "timer": {},
}
# Payloads that test the VMM more than KVM: a KVM that interprets ring 0 can run them, too.
_NATIVE = ("high_memory", "mmio", "ports", "straddle", "string_io", "suspend")

Run = Callable[..., PayloadRun]


@pytest.fixture(scope="session")
def project() -> Project:
    return Project.find()


@pytest.fixture(scope="session")
def folder(project: Project) -> Path:
    return payloads.build(project)


@pytest.fixture
def run(project: Project, folder: Path) -> Run:
    """``run("apic", vcpus=2)`` or ``run("real_mode.bin")``."""

    def start(name: str, **options: object) -> PayloadRun:
        file = folder / (name if "." in name else f"{name}.flat")
        return payloads.run(project, file, **{"memory_mib": 64, **options})

    return start


@pytest.fixture
def environment(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "env"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("name", _PAYLOADS)
def test_a_payload_passes_in_the_lab(run: Run, name: str) -> None:
    done = run(name, **_PAYLOADS[name])
    assert done.verdict == ("PASS", "ok"), done
    assert " 0 failed" in done.serial


@pytest.mark.parametrize("name", ["apic", "hpet", "ipi", "suspend", "test_device", "timer"])
def test_a_payload_passes_with_a_split_irqchip(run: Run, name: str) -> None:
    done = run(name, split_irqchip=True, **_PAYLOADS[name])
    assert done.verdict == ("PASS", "ok"), done


@pytest.mark.skipif(not os.access("/dev/kvm", os.W_OK), reason="no /dev/kvm on this machine")
@pytest.mark.parametrize("name", _NATIVE)
def test_a_payload_passes_natively(run: Run, name: str) -> None:
    done = run(name, host="native", **_PAYLOADS[name])
    assert done.verdict == ("PASS", "ok"), done


def test_raw_code_starts_in_real_mode(run: Run) -> None:
    done = run("real_mode.bin")
    assert done.verdict == ("PASS", "ok"), done
    assert done.serial == "PASS: real mode\n"


@pytest.mark.parametrize(
    ("value", "verdict", "code"),
    [(0, ("PASS", "ok"), 0), (1, ("FAIL", "check-failed"), 1), (38, ("SKIP", "none"), 4)],
)
def test_the_payloads_own_status_is_passed_on(
    run: Run,
    environment: Callable[[str], Path],
    value: int,
    verdict: tuple[str, str],
    code: int,
) -> None:
    done = run("statuses", environment=environment(f"LEAVE={value}\n"))
    assert done.verdict == verdict, done
    assert done.record.exit_code == code
    assert done.record.guest.exit_code == (value << 1 | 1)
    assert done.serial == "leaving\n"
    assert done.record.run_dir is not None
    written = json.loads((done.record.run_dir / "result.json").read_text())
    assert written["guest"]["stdout"] == "leaving\n"


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_a_status_may_be_of_any_width(
    run: Run, environment: Callable[[str], Path], bits: int
) -> None:
    done = run("statuses", environment=environment(f"LEAVE=38\nBITS={bits}\n"))
    assert done.verdict == ("SKIP", "none"), done


def test_a_guest_has_no_svm_unless_it_is_asked_for(run: Run) -> None:
    done = run("svm")
    assert done.verdict == ("SKIP", "none"), done
    assert "PASS: without SVM EFER refuses it" in done.serial


def test_a_payload_that_never_ends_runs_into_its_timeout(
    run: Run, environment: Callable[[str], Path]
) -> None:
    done = run("statuses", environment=environment("HANG=1\n"), timeout_s=4.0)
    assert done.verdict == ("FAIL", "timeout"), done
    assert done.record.exit_code == 124


def test_a_payloads_panic_through_pvpanic_ends_it(run: Run) -> None:
    done = run("pvpanic")
    assert done.verdict == ("FAIL", "kernel-panic"), done
    assert done.serial.endswith("now a panic\n")


def test_the_environment_tells_of_the_machine(run: Run) -> None:
    done = run("ipi", vcpus=2, memory_mib=96)
    assert done.verdict == ("PASS", "ok"), done
    assert "1 of 1 other processors started" in done.serial
