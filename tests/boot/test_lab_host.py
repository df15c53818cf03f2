# SPDX-License-Identifier: GPL-2.0-only
"""A real lab host: up for one command, or kept and found again, correct about how it was lost.

The workers are fake: these tests are about the host, not about machines. Its kernel is this
checkout's own; the cache also has some that other tests broke on purpose.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import kvm
from kvm.errors import UserError
from kvm.host import lab, lab_session, labs
from kvm.host.base import CommandTimeout, Event, HostHung, HostLost, HostPanic, Session
from kvm.host.kernel import HostKernel
from kvm.host.lab import LabHost, LabNeeds
from kvm.host.lab_machine import LabSettings
from kvm.project import Project
from support import host_kernels
from support.fake_vmm import make_artifact

pytestmark = pytest.mark.lab

_STOP_THE_AGENT = ("sh", "-c", "kill -STOP $PPID")
# A lab host with an assigned device can't be saved, so it is kept. Without ACPI a PC has one CPU.
_KEPT = LabSettings(cpus=1, devices=("edu",))
_PANIC = "echo c > /proc/sysrq-trigger; sleep 60"


@pytest.fixture(scope="module")
def kernel() -> HostKernel:
    return host_kernels.current()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A checkout of its own, so that nothing else uses its lab host."""
    root = tmp_path_factory.mktemp("checkout")
    (root / "linux").mkdir()
    (root / "tools").symlink_to(Project.find().root / "tools")
    found = Project(root)
    yield found
    labs.stop(found)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_artifact(tmp_path_factory.mktemp("vmm") / "fake")


@pytest.fixture
def host(project: Project, kernel: HostKernel, artifact: Path) -> Iterator[LabHost]:
    with LabHost(project, kernel, LabNeeds(artifact)) as found:
        yield found


@pytest.fixture
def kept(project: Project, kernel: HostKernel, artifact: Path) -> Iterator[LabHost]:
    """One that is kept for the next command."""
    needs = LabNeeds(artifact)
    with LabHost(project, kernel, needs, settings=_KEPT) as found:
        yield found


def _again(project: Project, kernel: HostKernel) -> LabHost:
    return LabHost(project, kernel, settings=_KEPT)


def _start(host: LabHost, artifact: Path, mode: str, name: str = "run") -> Session:
    run_dir = host_runs(host) / name
    return host.start(artifact, {}, {"argv": [mode]}, run_dir=run_dir)


def host_runs(host: LabHost) -> Path:
    return host.share / "runs"


def _first(session: Session) -> Event:
    """Its first event, however long this computer takes."""
    return next(event for event in session.events() if event is not None)


def _all(session: Session, within_s: float = 60) -> list[Event]:
    deadline = time.monotonic() + within_s
    events: list[Event] = []
    for event in session.events():
        assert time.monotonic() < deadline, events
        if event is not None:
            events.append(event)
    return events


def test_the_trees_kvm_is_there(host: LabHost) -> None:
    info = host.info()
    assert info["kvm"] is True
    assert info["cpus"] == 2
    assert info["clocksource"] in ("tsc-early", "tsc")  # tsc-early for the first second


def test_nothing_that_is_started_runs_on_the_first_of_emulated_cpus(
    host: LabHost, artifact: Path
) -> None:
    worker = _first(_start(host, artifact, "hang"))
    script = f"grep -h Cpus_allowed_list /proc/self/status /proc/{worker['pid']}/status"
    said = host.run_command(("sh", "-c", script), timeout_s=30)[1]
    assert [line.split()[1] for line in said.splitlines()] == ["1-2", "1-2"]


def test_a_worker_runs_in_its_folder_of_the_share(host: LabHost, artifact: Path) -> None:
    session = _start(host, artifact, "end")
    assert [event["event"] for event in _all(session)] == ["started", "result"]
    assert session.exit_status == 0
    assert "a diagnostic" in (host_runs(host) / "run" / "vmm.log").read_text()


def test_workers_run_side_by_side(host: LabHost, artifact: Path) -> None:
    sessions = [_start(host, artifact, "echo", f"run{number}") for number in range(3)]
    for session in sessions:
        session.send({"stop": "enough"})
    assert [len(_all(session)) for session in sessions] == [3, 3, 3]


def test_a_killed_worker_and_a_crashed_one_end_differently(host: LabHost, artifact: Path) -> None:
    hanging, crashing = (_start(host, artifact, mode) for mode in ("hang", "crash"))
    hanging.kill()
    assert (_all(hanging), hanging.exit_status) == ([], -9) or hanging.exit_status == -9
    _all(crashing)
    assert crashing.exit_status == -11


def test_a_vmm_built_after_the_boot_is_seen(host: LabHost, tmp_path: Path) -> None:
    fresh = make_artifact(tmp_path / "fresh")
    started = _all(_start(host, fresh, "end"))[0]
    assert started["file"].startswith(str(fresh))


def test_what_changes_in_the_share_is_seen_at_once(host: LabHost) -> None:
    note = host_runs(host) / "note"
    note.parent.mkdir(parents=True, exist_ok=True)
    for text in ("one\n", "quite another\n"):
        note.write_text(text)
        assert host.run_command(("cat", note), timeout_s=30) == (0, text)
    assert host.run_command(("sh", "-c", f"echo back > {note}"), timeout_s=30)[0] == 0
    assert note.read_text() == "back\n"


def test_the_developers_files_cannot_be_changed(host: LabHost, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("precious")
    host.run_command(("sh", "-c", f"echo lost > {mine}; rm -f {mine}"), timeout_s=30)
    assert mine.read_text() == "precious"


def test_a_command_is_stopped_at_its_deadline(host: LabHost) -> None:
    with pytest.raises(CommandTimeout) as late:
        host.run_command(("sh", "-c", "echo begun; sleep 600"), timeout_s=1)
    assert late.value.output == "begun\n"
    assert host.run_command(("true",), timeout_s=30) == (0, "")


def test_each_command_has_one_of_its_own(
    host: LabHost, project: Project, kernel: HostKernel
) -> None:
    before = labs.status(project)
    assert before is not None
    host.close()
    assert labs.status(project) is None
    assert not Path(f"/proc/{before.pid}").exists()
    with LabHost(project, kernel) as again:
        assert again.boot_s > 0


def test_commands_side_by_side_have_one_each(
    host: LabHost, project: Project, kernel: HostKernel, artifact: Path
) -> None:
    session = _start(host, artifact, "echo")
    said: list[str] = []
    with LabHost(project, kernel, LabNeeds(artifact), say=said.append) as other:
        assert not any("waiting" in text for text in said)
        first, second = labs.statuses(project)
        assert first.pid != second.pid
        assert other.run_command(("true",), timeout_s=30) == (0, "")
    assert [one.pid for one in labs.statuses(project)] == [first.pid]
    session.send({"stop": "enough"})
    assert len(_all(session)) == 3


def test_one_that_cannot_be_saved_is_kept_for_the_next_command(
    kept: LabHost, project: Project, kernel: HostKernel
) -> None:
    before = labs.status(project)
    kept.close()
    with _again(project, kernel) as again:
        assert again.boot_s == 0
        assert before is not None
        after = labs.status(project)
        assert after is not None
        assert after.pid == before.pid


_CLIENT = """
import sys
from pathlib import Path
from kvm.host.kernel import HostKernel
from kvm.host.lab import LabHost
from kvm.host.lab_machine import LabSettings
from kvm.project import Project
root, vmlinux, artifact = map(Path, sys.argv[1:4])
settings = LabSettings(cpus=1, devices=("edu",)) if sys.argv[4] == "kept" else LabSettings()
modules = tuple(map(Path, sys.argv[5:]))
kernel = HostKernel(vmlinux, "the kernel", "the image", modules)
host = LabHost(Project(root), kernel, settings=settings)
session = host.start(artifact, {}, {"argv": ["hang"]}, run_dir=root / "build" / "killed")
for event in session.events():
    if event:
        print(event["pid"], flush=True)
"""


def _killed_client(project: Project, kernel: HostKernel, artifact: Path, kind: str) -> int:
    """Kill a command that has a worker; return the worker's pid."""
    paths = (project.root, kernel.vmlinux, artifact)
    argv = (sys.executable, "-c", _CLIENT, *map(str, paths), kind, *map(str, kernel.modules))
    environment = {**os.environ, "PYTHONPATH": str(Path(kvm.__file__).parents[1])}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment) as client:
        assert client.stdout is not None
        worker = int(client.stdout.readline())
        client.kill()
    return worker


def test_a_killed_command_leaves_a_usable_lab_host_without_its_worker(
    project: Project, kernel: HostKernel, artifact: Path
) -> None:
    worker = _killed_client(project, kernel, artifact, "kept")
    known = replace(kernel, id="the kernel", image="the image")
    with _again(project, known) as host:
        assert host.boot_s == 0
        gone = f"for i in 1 2 3 4 5; do [ -d /proc/{worker} ] || exit 0; sleep 1; done; exit 1"
        assert host.run_command(("sh", "-c", gone), timeout_s=30)[0] == 0


def test_what_a_killed_command_left_is_ended_by_the_next(
    project: Project, kernel: HostKernel, artifact: Path
) -> None:
    _killed_client(project, kernel, artifact, "saved")
    left = labs.status(project)
    assert left is not None
    with LabHost(project, kernel):
        found = labs.status(project)
        assert found is not None
        assert found.pid != left.pid
        assert not Path(f"/proc/{left.pid}").exists()


def test_a_panic_is_told_to_everybody_and_the_next_start_boots_again(
    host: LabHost, artifact: Path
) -> None:
    bystander = _start(host, artifact, "hang")
    with pytest.raises(HostPanic) as panic:
        host.run_command(("sh", "-c", _PANIC), timeout_s=60)
    assert "sysrq triggered crash" in panic.value.message
    assert "Call Trace" in panic.value.console
    with pytest.raises(HostPanic):
        _all(bystander)
    booted_s = host.boot_s
    assert _all(_start(host, artifact, "end"))[-1]["event"] == "result"
    assert host.boot_s > booted_s


def test_qemus_death_is_no_panic(host: LabHost, project: Project, artifact: Path) -> None:
    session = _start(host, artifact, "hang")
    running = labs.status(project)
    assert running is not None
    os.kill(running.pid, signal.SIGABRT)
    with pytest.raises(HostLost) as lost:
        _all(session)
    assert not isinstance(lost.value, HostPanic)
    assert "signal 6" in lost.value.message


def test_a_lab_host_that_hangs_is_replaced(
    kept: LabHost, project: Project, kernel: HostKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = labs.status(project)
    assert running is not None
    kept.close()
    monkeypatch.setattr(lab, "_REUSE_S", 1.0)
    os.kill(running.pid, signal.SIGSTOP)
    with _again(project, kernel) as fresh:
        assert fresh.boot_s > 0
        replaced = labs.status(project)
    assert replaced is not None
    assert replaced.pid != running.pid


def test_a_lab_host_that_hangs_under_a_worker_is_noticed(
    host: LabHost, project: Project, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab_session, "_CHECK_EVERY_S", 1.0)
    monkeypatch.setattr(lab, "_PING_S", 1.0)
    session = _start(host, artifact, "hang")
    host.start_command(_STOP_THE_AGENT)
    with pytest.raises(HostHung):
        _all(session)
    assert _all(_start(host, artifact, "end"))[-1]["event"] == "result"


def test_a_lab_host_that_is_not_run_for_a_while_is_waited_for(
    host: LabHost, project: Project, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab_session, "_CHECK_EVERY_S", 0.5)
    monkeypatch.setattr(lab_session, "_KILL_S", 2.0)
    monkeypatch.setattr(lab, "_PING_S", 1.0)
    session = _start(host, artifact, "hang")
    _first(session)
    running = labs.status(project)
    assert running is not None
    os.kill(running.pid, signal.SIGSTOP)
    threading.Timer(4.0, os.kill, (running.pid, signal.SIGCONT)).start()
    session.kill()
    _all(session)
    assert session.exit_status == -signal.SIGKILL
    assert session.clock.kept_s > 3.0


def test_a_worker_that_cannot_be_killed_ends_its_lab_host(
    host: LabHost, project: Project, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab_session, "_KILL_S", 2.0)
    session = _start(host, artifact, "hang")
    worker = _first(session)
    # The zygote, its parent, is what would kill it.
    stop = f"read -r _ _ _ zygote _ </proc/{worker['pid']}/stat; kill -STOP $zygote"
    assert host.run_command(("sh", "-c", stop))[0] == 0
    killed_at = time.monotonic()
    session.kill()
    with pytest.raises(HostHung, match="can't be killed"):
        _all(session)
    assert time.monotonic() - killed_at >= 2.0
    assert _all(_start(host, artifact, "end"))[-1]["event"] == "result"


def test_a_lab_host_that_is_distrusted_is_not_found_again(
    kept: LabHost, project: Project, kernel: HostKernel
) -> None:
    running = labs.status(project)
    kept.distrust("its kernel stalled")
    kept.close()
    with _again(project, kernel) as fresh:
        assert fresh.boot_s > 0
        replaced = labs.status(project)
    assert running is not None and replaced is not None
    assert replaced.pid != running.pid


def test_nobody_there_for_long_ends_it(project: Project, kernel: HostKernel) -> None:
    settings = replace(_KEPT, idle_s=1)
    with LabHost(project, kernel, settings=settings) as host:
        time.sleep(2)
        assert host.ping() < 2
    deadline = time.monotonic() + 30
    while labs.status(project) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_another_kernel_ends_the_old_lab_host(
    kept: LabHost, project: Project, kernel: HostKernel
) -> None:
    before = labs.status(project)
    kept.close()
    with LabHost(project, replace(kernel, id="another"), settings=_KEPT) as other:
        assert other.boot_s > 0
        after = labs.status(project)
    assert before is not None
    assert after is not None
    assert (before.key, before.pid) != (after.key, after.pid)
    assert not Path(f"/proc/{before.pid}").exists()


def test_a_kernel_that_is_none_is_told(project: Project, tmp_path: Path) -> None:
    broken = tmp_path / "vmlinux"
    broken.write_bytes(b"not a kernel")
    with pytest.raises((HostLost, UserError)):
        LabHost(project, HostKernel(broken, "none", "none"))


def test_stop_ends_it_and_leaves_nothing(project: Project, kernel: HostKernel) -> None:
    _again(project, kernel).close()
    running = labs.status(project)
    assert running is not None
    assert labs.stop(project)
    assert labs.status(project) is None
    assert not Path(f"/proc/{running.pid}").exists()
    assert not labs.stop(project)
