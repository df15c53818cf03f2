# SPDX-License-Identifier: GPL-2.0-only
"""kvm.host.instance and keeper: wrong records are not believed, and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kvm.cli.call import exit_code_of
from kvm.errors import UserError
from kvm.host import exports, keeper
from kvm.host import instance as lab_instance
from kvm.host.base import HostLost, HostPanic
from kvm.host.identity import ProcessId, boot_id
from kvm.host.instance import Instance, machine_key, runtime_folder
from kvm.host.qemu import LabMachine
from kvm.project import Project


@pytest.fixture
def lab(tmp_path: Path) -> Instance:
    folder = tmp_path / "lab" / "0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / keeper.HEARTBEAT).touch()
    return Instance(folder, tmp_path / "lab.sock")


def _keep(lab: Instance, *command: str, idle_s: float = 600) -> None:
    argv = (sys.executable, "-I", "-S", keeper.__file__, str(lab.folder), str(idle_s), *command)
    subprocess.run(argv, check=True, timeout=20, stdout=subprocess.PIPE)


def _record(lab: Instance, qemu: ProcessId, boot: str | None = None) -> None:
    state = {
        "boot_id": boot or boot_id(),
        "keeper": [qemu.pid, qemu.start],
        "qemu": [qemu.pid, qemu.start],
    }
    (lab.folder / keeper.STATE).write_text(json.dumps(state))


def _until(condition: object, within_s: float = 15) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.02)
    return False


def test_a_process_is_known_by_its_start_time_too() -> None:
    me = ProcessId.of(os.getpid())
    assert me is not None
    assert me.alive
    assert not replace(me, start=me.start - 1).alive


def test_a_recycled_pid_is_neither_running_nor_killed(lab: Instance) -> None:
    bystander = subprocess.Popen(("sleep", "60"))
    try:
        found = ProcessId.of(bystander.pid)
        assert found is not None
        _record(lab, replace(found, start=found.start - 100))
        assert not lab.running
        lab.discard()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_record_from_before_a_restart_is_not_believed(lab: Instance) -> None:
    me = ProcessId.of(os.getpid())
    assert me is not None
    _record(lab, me, boot="another boot")
    assert lab.processes() is None
    assert not lab.running
    lab.discard()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"boot_id": 1}', '{"keeper": null}'])
def test_a_broken_record_is_no_lab_host(lab: Instance, text: str) -> None:
    (lab.folder / keeper.STATE).write_text(text)
    assert not lab.running
    lab.discard()
    assert not lab.folder.exists()


def test_the_keeper_outlives_its_starter_and_records_the_end(lab: Instance) -> None:
    _keep(lab, "sleep", "60")
    assert lab.running
    found = lab.processes()
    assert found is not None
    assert found.qemu is not None
    os.kill(found.qemu.pid, signal.SIGTERM)
    assert _until((lab.folder / keeper.ENDED).exists)
    assert json.loads((lab.folder / keeper.ENDED).read_text()) == {"status": -15, "idle": False}
    assert _until(lambda: not found.keeper.alive)


def test_qemu_dies_with_its_keeper(lab: Instance) -> None:
    _keep(lab, "sleep", "60")
    found = lab.processes()
    assert found is not None
    assert found.qemu is not None
    found.keeper.kill()
    assert _until(lambda: not lab.running)


@pytest.mark.parametrize("end", ["qemu", "keeper"])
def test_folders_beside_disks_go_with_their_lab_host(
    lab: Instance, tmp_path: Path, end: str
) -> None:
    """The keeper removes them or, if it was killed, the next command; the images stay."""
    image, folder = tmp_path / "disk", tmp_path / ".tools-kvm-1"
    image.write_bytes(b"x")
    exports.make(lab.folder, [folder])
    os.link(image, folder / "link")
    _keep(lab, "sleep", "60")
    found = lab.processes()
    assert found is not None
    assert found.qemu is not None
    if end == "qemu":
        found.qemu.kill()
        assert _until(lambda: not folder.exists())
    else:
        found.keeper.kill()
        assert folder.exists()
        lab.discard()
    assert not folder.exists()
    assert image.stat().st_nlink == 1
    lab.discard()


def test_the_keeper_ends_what_nobody_uses(lab: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(lab.heartbeat, (0, 0))
    _keep(lab, "sleep", "60", idle_s=1)
    assert _until((lab.folder / keeper.ENDED).exists)
    assert json.loads((lab.folder / keeper.ENDED).read_text())["idle"] is True
    assert "nobody used it" in str(lab.loss())


def test_a_clock_that_is_set_forward_ends_no_lab_host_that_is_used(lab: Instance) -> None:
    _keep(lab, "sleep", "60", idle_s=7)
    for beat in range(5):
        at = time.time() - 100_000 + beat
        os.utime(lab.heartbeat, (at, at))
        time.sleep(2.2)
        assert lab.running
    lab.discard()


def test_a_clock_that_is_set_back_keeps_no_lab_host_that_nobody_uses(lab: Instance) -> None:
    os.utime(lab.heartbeat, (time.time() + 100_000,) * 2)
    _keep(lab, "sleep", "60", idle_s=1)
    assert _until((lab.folder / keeper.ENDED).exists)
    assert json.loads((lab.folder / keeper.ENDED).read_text())["idle"] is True


def test_discard_ends_both_and_leaves_no_trace(lab: Instance) -> None:
    _keep(lab, "sleep", "60")
    found = lab.processes()
    assert found is not None
    assert found.qemu is not None
    lab.socket.touch()
    lab.discard()
    assert not found.qemu.alive
    assert not found.keeper.alive
    assert not lab.folder.exists()
    assert not lab.socket.exists()


def test_a_qemu_that_is_missing_is_the_users_to_mend(
    lab: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    machine = LabMachine(Path("/k"), Path("/i"), Path("/s"))
    with pytest.raises(UserError, match="qemu-system-x86_64 was not found"):
        lab.boot(machine, 10)


def _ended(lab: Instance, status: int, console: str = "", log: str = "") -> HostLost:
    (lab.folder / keeper.ENDED).write_text(json.dumps({"status": status, "idle": False}))
    (lab.folder / keeper.QEMU_LOG).write_text(log)
    lab.console.write_text(console)
    return lab.loss()


def test_a_panic_is_the_kernels(lab: Instance) -> None:
    loss = _ended(lab, 0, "[    1.0] Kernel panic - not syncing: Fatal exception\n[ 1.1] CPU: 0\n")
    assert isinstance(loss, HostPanic)
    assert "Fatal exception" in loss.message
    assert "CPU: 0" in loss.console


def test_a_reset_without_a_word_is_the_kernels_too(lab: Instance) -> None:
    assert isinstance(_ended(lab, 0), HostPanic)


def test_qemus_death_is_the_surroundings(lab: Instance) -> None:
    loss = _ended(lab, -6, log="tcg_handle_interrupt: assertion failed")
    assert not isinstance(loss, HostPanic)
    assert "signal 6" in loss.message
    assert "assertion failed" in loss.message
    assert exit_code_of(loss) == 125


@pytest.mark.parametrize("number", [1, 2, 15])
def test_a_qemu_that_was_told_to_end_blames_no_kernel(lab: Instance, number: int) -> None:
    """It ends with 0, as for a kernel that resets without a word."""
    words = f"qemu-system-x86_64: terminating on signal {number} from pid 71 (bash)\n"
    loss = _ended(lab, 0, log=words)
    assert not isinstance(loss, HostPanic)
    assert f"signal {number} from pid 71" in loss.message


def test_an_agent_that_ends_is_no_panic(lab: Instance) -> None:
    assert not isinstance(_ended(lab, 0, "init: agent exited with 1\n"), HostPanic)


def test_a_lab_host_whose_end_nobody_saw_is_lost(lab: Instance) -> None:
    assert "nobody saw" in lab.loss().message


def test_the_key_changes_with_all_that_matters(tmp_path: Path) -> None:
    machine = LabMachine(tmp_path / "vmlinux", tmp_path / "initrd", tmp_path)
    project = Project(tmp_path)
    keys = {machine_key(project, "main", machine, "kernel")}
    keys.add(machine_key(project, "main", machine, "other kernel"))
    keys.add(machine_key(project, "another slot", machine, "kernel"))
    keys.add(machine_key(project, "main", replace(machine, memory_mib=4096), "kernel"))
    keys.add(machine_key(Project(tmp_path / "x"), "main", machine, "kernel"))
    other = replace(machine, initrd=tmp_path / "another")  # archives are named by their content
    keys.add(machine_key(project, "main", other, "kernel"))
    keys.add(machine_key(project, "main", replace(machine, uplink=True), "kernel"))
    assert len(keys) == 7
    assert machine_key(project, "main", machine, "kernel") in keys


def test_programs_that_were_replaced_want_a_new_lab_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads this machine's programs through a cache that does not notice."""
    machine = LabMachine(tmp_path / "vmlinux", tmp_path / "initrd", tmp_path)
    program = tmp_path / "python3"
    monkeypatch.setattr(lab_instance, "PROGRAMS", (str(program), str(tmp_path / "none")))
    keys = []
    for content in ("old", "old", "new"):
        if not program.exists() or program.read_text() != content:
            (tmp_path / "fresh").write_text(content)
            (tmp_path / "fresh").rename(program)
        keys.append(machine_key(Project(tmp_path), "main", machine, "kernel"))
    assert keys[0] == keys[1] != keys[2]


def test_sockets_live_in_a_folder_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = runtime_folder()
    assert folder == tmp_path / "tools-kvm"
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    with pytest.raises(UserError, match="only you can enter"):
        runtime_folder()


def test_without_a_runtime_folder_the_temporary_one_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    assert runtime_folder() == tmp_path / f"tools-kvm-{os.getuid()}"
