# SPDX-License-Identifier: GPL-2.0-only
"""A lab host starts from a saved one, nothing of an earlier one is left in it, and it is alive."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from kvm.host import labs, saved
from kvm.host.base import HostRefused
from kvm.host.kernel import HostKernel
from kvm.host.lab import LabHost, LabNeeds
from kvm.project import Project
from support import host_kernels
from support.fake_vmm import WORKER, make_artifact

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def whole() -> HostKernel:
    """This checkout's kernel, with KVM's modules."""
    return host_kernels.current()


@pytest.fixture(scope="module")
def kernel(whole: HostKernel) -> HostKernel:
    """Its image alone."""
    return replace(whole, modules=())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A checkout and a cache of its own, in which no lab host has been saved."""
    root = tmp_path / "checkout"
    (root / "linux").mkdir(parents=True)
    (root / "tools").symlink_to(Project.find().root / "tools")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield Project(root)
    labs.stop(Project(root))


class Up(NamedTuple):
    """A lab host that has come up, and what was said meanwhile."""

    host: LabHost
    said: list[str]

    def run(self, script: str) -> str:
        code, output = self.host.run_command(("sh", "-c", script), timeout_s=60)
        assert code == 0, output
        return output


Bring = Callable[..., Up]


@pytest.fixture
def bring(project: Project, kernel: HostKernel) -> Iterator[Bring]:
    """Brings one up; the one before ends."""
    hosts: list[LabHost] = []

    def bring_up(artifact: Path | None = None, kernel: HostKernel = kernel) -> Up:
        for host in hosts:
            host.close()
        said: list[str] = []
        needs = LabNeeds(artifact)
        hosts.append(LabHost(project, kernel, needs, say=said.append))
        return Up(hosts[-1], said)

    yield bring_up
    for host in hosts:
        host.close()


def _homes(project: Project) -> list[Path]:
    return sorted((project.cache / "lab-hosts").iterdir())


def test_the_second_goes_on_from_the_first_ones_boot(bring: Bring, project: Project) -> None:
    first = bring()
    assert not first.host.restored
    assert first.said == ["booting the lab host"]
    second = bring()
    assert second.host.restored
    assert second.said == []
    assert 0 < second.host.boot_s < first.host.boot_s
    assert second.host.console == first.host.console  # the boot's messages are there
    assert len(_homes(project)) == 1


def test_nothing_of_an_earlier_one_is_left(bring: Bring, project: Project, tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.write_text("old")
    files = sorted((path, path.stat().st_mtime_ns) for path in _files(bring, project))
    script = "touch /tmp/left /dev/shm/left; echo 1 >/proc/sys/kernel/sysrq; dmesg -n 7; sleep 99 &"
    assert bring().run(f"cat {note}; {script}") == "old"
    note.write_text("new")  # of the same size, and perhaps in the same tick of the clock
    seen = bring().run(f"cat {note}; ls /tmp/left /dev/shm/left 2>&1 | wc -l; pidof sleep || true")
    assert seen == "new2\n"
    assert sorted((path, path.stat().st_mtime_ns) for path in _files(bring, project)) == files


def _files(bring: Bring, project: Project) -> Iterator[Path]:
    """The files of the saved one, once there is one."""
    bring()
    return (path for home in _homes(project) for path in home.iterdir())


def test_its_clock_is_right_its_timers_run_and_its_random_numbers_are_its_own(
    bring: Bring,
) -> None:
    bring()
    time.sleep(2)
    numbers = set()
    for _ in range(3):
        words = bring().run("date +%s.%N; sleep 0.2; cat /proc/sys/kernel/random/uuid").split()
        assert abs(float(words[0]) - time.time()) < 2
        numbers.add(words[1])
    assert len(numbers) == 3


def test_a_vmm_is_in_memory_and_another_one_needs_no_boot(
    bring: Bring, project: Project, tmp_path: Path
) -> None:
    one, two, three = (make_artifact(tmp_path / name) for name in ("one", "two", "three"))
    assert not bring(one).host.restored
    assert bring(one).host.restored
    assert not bring(two).host.restored  # the first edit saves one without a VMM as well
    assert bring(two).host.restored
    for count in (3, 4):  # what is edited again and again need not be saved each time
        assert bring(three).host.restored
        assert len(_homes(project)) == count
    for artifact in (one, two, three):
        up = bring(artifact)
        session = up.host.start(
            artifact, {}, {"argv": ["end"]}, run_dir=up.host.share / "runs" / artifact.name
        )
        started = next(event for event in session.events() if event is not None)
        assert started["file"].startswith(str(artifact))


def test_a_vmm_that_cannot_be_imported_ahead_is_not_saved(
    bring: Bring, project: Project, tmp_path: Path
) -> None:
    refusal = "import os\nif os.path.exists('/agent.argv'):\n    raise ImportError('not yet')\n"
    artifact = make_artifact(tmp_path / "picky", refusal + WORKER)
    for _ in range(2):
        up = bring(artifact)
        assert not up.host.restored
        session = up.host.start(
            artifact, {}, {"argv": ["end"]}, run_dir=up.host.share / "runs" / "one"
        )
        events = [event["event"] for event in session.events() if event is not None]
        assert events == ["started", "result"]
    assert not (project.cache / "lab-hosts").exists()


def test_an_edit_of_kvm_needs_no_boot_and_what_is_run_again_no_insertion(
    bring: Bring, project: Project, whole: HostKernel
) -> None:
    edited = replace(whole, id="edited")
    counts: list[int] = []
    for kernel in (whole, whole, whole, edited, edited, edited):
        up = bring(kernel=kernel)
        assert up.run("ls /dev/kvm; wc -l </proc/modules") == "/dev/kvm\n3\n"
        assert set(up.host.modules) == {"irqbypass", "kvm", "kvm_amd"}
        assert up.host.restored is (len(counts) > 0)
        counts.append(len(_homes(project)))
    assert counts == [1, 2, 2, 2, 3, 3]


@pytest.mark.parametrize("times", [1, 2])
def test_a_module_that_does_not_load_is_the_kernels_fault(
    bring: Bring, whole: HostKernel, tmp_path: Path, times: int
) -> None:
    broken = tmp_path / "kvm.ko"
    broken.write_bytes(b"\x7fELF but no module")
    files = (broken if path.name == broken.name else path for path in whole.modules)
    kernel = replace(whole, modules=tuple(files))
    for _ in range(times):
        with pytest.raises(HostRefused, match=f"cannot insert {broken}: Exec format error"):
            bring(kernel=kernel)


@pytest.mark.parametrize("damage", ["devices", "ram", "gone", "altered", "sealed"])
def test_one_that_does_not_come_back_is_made_anew(
    bring: Bring, project: Project, damage: str
) -> None:
    bring()
    (home,) = _homes(project)
    if damage == "gone":
        (home / "ram").unlink()
    elif damage == "altered":
        with (home / "ram").open("r+b") as stream:
            stream.seek(1 << 20)
            stream.write(b"x")
    else:
        with (home / damage.replace("sealed", "devices")).open("r+b") as stream:
            stream.truncate(1000)
    if damage == "sealed":  # as if it had been saved like this
        saved.reseal(home)
    second = bring()
    assert not second.host.restored
    why = "does not come back" if damage == "sealed" else "were altered or cut short"
    assert why in second.said[0], second.said
    assert second.run("echo well") == "well\n"
    assert bring().host.restored


def test_without_room_each_one_is_booted(
    bring: Bring, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(project.root)._replace(free=1 << 30)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    for _ in range(2):
        up = bring()
        assert not up.host.restored
        assert "can't be saved" in up.said[1], up.said
        assert "1024 MiB are free" in up.said[1]
    assert _homes(project) == []


def test_what_a_killed_command_left_half_saved_is_removed(bring: Bring, project: Project) -> None:
    half = project.cache / "lab-hosts" / "new-killed"
    half.mkdir(parents=True)
    (half / "ram").write_bytes(b"half")
    recent = project.cache / "lab-hosts" / "new-at-work"
    recent.mkdir()
    long_ago = time.time() - 3600
    os.utime(half, (long_ago, long_ago))
    bring()
    assert not half.exists()
    assert recent.exists()
    assert bring().host.restored


def test_the_cache_is_bounded(bring: Bring, project: Project) -> None:
    folder = project.cache / "lab-hosts"
    for number in range(20):
        old = folder / f"{number:016x}"
        old.mkdir(parents=True)
        os.utime(old, (1000 + number, 1000 + number))
    bring()
    left = [home.name for home in _homes(project)]
    assert len(left) <= 8
    assert f"{19:016x}" in left
    assert f"{0:016x}" not in left
