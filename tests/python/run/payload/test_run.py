# SPDX-License-Identifier: GPL-2.0-only
"""A payload runs on the KVM of the kernel under test, or on none.

The lab hosts are fake: these tests are about which one is used, and what is reported.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kvm.host.base import Event, HostHung, HostLost, HostPanic
from kvm.host.choose import ProbeResult
from kvm.host.given import GivenClock
from kvm.host.kernel import HostKernel
from kvm.host.lab_machine import LabSettings
from kvm.kernel.build import Kernel
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import hosts, proven
from kvm.run.halves import Halves
from kvm.run.payload.options import PayloadOptions
from kvm.run.payload.run import run_built
from kvm.run.record import RunRecord
from kvm.run.spine import RunSite
from kvm.verdict.vocabulary import Reason, Verdict
from kvm.vm.build import Vmm

_PANIC = HostPanic(
    "the lab host's kernel panicked",
    console="[    0.100000] Kernel panic - not syncing: no lab host\n",
)
_HUNG = HostHung("the lab host did not come up within 120 s")

Run = Callable[..., RunRecord]


@dataclass
class PassingSession:
    """A payload that passes at once, unless it ends otherwise."""

    exit_status: int | None = 0
    stderr_tail: str = ""
    clock: GivenClock = field(default_factory=lambda: GivenClock(lambda: 0.0))

    stop: str = "debug_exit"

    def events(self, timeout_s: float = 0.2) -> Iterator[Event | None]:
        yield {"event": "result", "stop": self.stop, "detail": "1"}

    def send(self, message: Event) -> None: ...

    def kill(self) -> None: ...


class FakeLab:
    """``boots`` says for each kernel how it fares as lab host, given so many seconds."""

    boots: Callable[[str, float], HostLost | None]
    taken: list[str]
    faults = 0  # as many boots first end in a triple fault

    name, boot_s, restored, has_clone, console, uplink = "lab", 0.5, False, False, "", ""

    def __init__(self, project: Project, kernel: HostKernel, needs: Any, **given: Any) -> None:
        settings: LabSettings = given["settings"]
        lost = type(self).boots(kernel.id, settings.boot_deadline_s)
        if lost is not None:
            raise lost
        self.taken.append(kernel.id)
        self.modules: dict[str, range] = {}

    def start(self, artifact: Path, spec: Event, run: Event | None, *, run_dir: Path) -> Any:
        if type(self).faults == 0:
            return PassingSession()
        type(self).faults -= 1
        return PassingSession(stop="shutdown")

    def clone(self, run: Event | None, *, run_dir: Path) -> None: ...

    def seen(self, path: Path) -> Path:
        return path

    def distrust(self, why: str) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run(boots)``: a payload on a lab host with the kernel "new"; "good" is a proven one."""
    project = Project(tmp_path)
    (tmp_path / "code.flat").write_bytes(b"\xf4")
    for kernel in ("new", "good"):
        (tmp_path / kernel).mkdir()
        (tmp_path / kernel / "vmlinux").touch()
        (tmp_path / kernel / "System.map").touch()
    new, good = (
        Kernel(name, "image", "6.12.0", "1" * 40, "default", tmp_path / name, 0.0, False)
        for name in ("new", "good")
    )
    meta = {"id": "good", "release": good.release, "source": good.source}
    (good.folder / "meta.json").write_text(json.dumps(meta))
    proven.record(project, good, 0.5)
    halves = Halves(
        new,
        Vmm("vmm", tmp_path, 0.0, False),
    )
    monkeypatch.setattr(hosts, "LabHost", FakeLab)

    def go(boots: Callable[[str, float], HostLost | None]) -> RunRecord:
        FakeLab.boots, FakeLab.taken = staticmethod(boots), []
        run_dir = tmp_path / "run"
        run_dir.mkdir()
        site = RunSite(run_dir, notes=hosts.HostNotes(probed=ProbeResult("absent", "no /dev/kvm")))
        options = PayloadOptions(tmp_path / "code.flat", host="lab").check()
        with Progress(live=False) as progress:
            return run_built(project, halves, options, progress, lambda _: None, site)

    return go


@pytest.mark.parametrize(
    ("lost", "verdict", "reason"),
    [(_PANIC, Verdict.FAIL, Reason.HOST_PANIC), (_HUNG, Verdict.ERROR, Reason.INFRASTRUCTURE)],
)
def test_a_kernel_that_is_no_lab_host_has_no_other_stand_in_for_it(
    run: Run, lost: HostLost, verdict: Verdict, reason: Reason
) -> None:
    record = run(lambda kernel, seconds: lost if kernel == "new" else None)
    assert FakeLab.taken == []
    assert (record.outcome.verdict, record.outcome.reason) == (verdict, reason)
    assert record.kernel.id == "new"
    assert record.exit_code == (1 if verdict is Verdict.FAIL else 125)


def test_a_kernel_that_is_slow_to_come_up_is_waited_for(run: Run) -> None:
    record = run(lambda kernel, seconds: _HUNG if kernel == "new" and seconds < 60 else None)
    assert FakeLab.taken == ["new"]
    assert (record.outcome.verdict, record.kernel.id) == (Verdict.PASS, "new")


@pytest.mark.parametrize(
    ("faults", "verdict", "boots"),
    [(0, Verdict.PASS, 1), (1, Verdict.FLAKY, 2), (2, Verdict.FLAKY, 3), (3, Verdict.FAIL, 3)],
)
def test_a_payload_that_faults_in_some_of_its_boots_does_not_pass(
    run: Run, monkeypatch: pytest.MonkeyPatch, faults: int, verdict: Verdict, boots: int
) -> None:
    monkeypatch.setattr(FakeLab, "faults", faults)
    record = run(lambda kernel, seconds: None)
    assert (record.outcome.verdict, len(FakeLab.taken)) == (verdict, boots)
    assert record.exit_code == {Verdict.PASS: 0, Verdict.FAIL: 1}.get(verdict, 125)
