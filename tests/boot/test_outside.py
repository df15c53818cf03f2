# SPDX-License-Identifier: GPL-2.0-only
"""Events outside the code under test are never called its failure, nor its success."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kvm.host.saved import Store
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import halves, rundir
from kvm.run.boot import Streams, boot_built
from kvm.run.extras import RunExtras
from kvm.run.spine import RunSite
from support import labs
from support.asked import boot_options
from support.machines import Boot, Output, Run

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

# Among the lab host's processes, the VMM is the one with a thread of this name.
_KILL_THE_VMM = """
while :; do
    for name in /proc/[0-9]*/task/*/comm; do
        read -r word < $name 2>/dev/null || continue
        pid=${name#/proc/}; pid=${pid%%/*}
        [ "$word" != vcpu0 ] || { sleep 1; kill -SIGNAL $pid; exit; }
    done
    sleep 0.2
done
"""


class Outsider:
    """Does something once to the lab host's QEMU."""

    def __init__(self, project: Project, act: Callable[[int], None]) -> None:
        self._project = project
        self._act = act
        self._threads: list[threading.Thread] = []

    def begin(self, data: bytes = b"") -> None:
        """Called when it is time, and again later."""
        if not self._threads:
            self._threads.append(threading.Thread(target=self._go))
            self._threads[0].start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)

    def _go(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if (status := labs.own(self._project)) is not None:
                self._act(status.pid)
                return
            time.sleep(0.02)


@pytest.fixture
def act(project: Project) -> Iterator[Callable[..., Run]]:
    """``act(what, on, command...)``: a boot during which ``what`` is done to QEMU, as soon as the
    guest writes to ``on`` (console or stdout), or at once."""
    outsiders: list[Outsider] = []

    def run(what: Callable[[int], None], on: str, *command: str, **options: Any) -> Run:
        outsider, output = Outsider(project, what), Output()
        outsiders.append(outsider)
        out = output.streams.stdout

        def stdout(data: bytes) -> None:
            out(data)
            if on == "stdout":
                outsider.begin()

        console = outsider.begin if on == "console" else None
        quiet = output.streams
        streams = Streams(stdout, quiet.stderr, console, restart=quiet.restart)
        chosen = {"host": "lab", **options}
        words = boot_options(command=command, **chosen).check()
        with Progress(live=False) as progress:
            both = halves.build(project, progress)
            if on == "start":
                outsider.begin()
            site = RunSite(rundir.create(project.runs))
            record = boot_built(project, both, words, progress, streams, site)
        return output.run(record)

    yield run
    for outsider in outsiders:
        outsider.join()


def _stopped_for(seconds: float) -> Callable[[int], None]:
    def act(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)

    return act


def _sent(number: int) -> Callable[[int], None]:
    return lambda pid: os.kill(pid, number)


@pytest.mark.parametrize("on", ["console", "stdout"])
def test_a_machine_that_is_not_run_for_a_while_is_waited_for(
    act: Callable[..., Run], on: str
) -> None:
    run = act(_stopped_for(9), on, "sh", "-c", "echo GO; sleep 1; echo done", append="loglevel=7")
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout == b"GO\ndone\n"
    assert (run.record.timings.kept or 0) > 8


@pytest.fixture
def nothing_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lab hosts boot, whatever other tests' commands save meanwhile."""
    monkeypatch.setattr(Store, "find", lambda self, key: None)


@pytest.mark.usefixtures("nothing_saved")
def test_a_lab_host_that_is_not_run_while_it_boots_is_waited_for(act: Callable[..., Run]) -> None:
    run = act(_stopped_for(9), "start", "true")
    assert run.verdict == ("PASS", "ok"), run


def test_one_that_is_not_run_while_it_comes_back_is_waited_for(act: Callable[..., Run]) -> None:
    assert act(_stopped_for(0), "never", "true").verdict == ("PASS", "ok")
    run = act(_stopped_for(9), "start", "true")
    assert run.verdict == ("PASS", "ok"), run


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("on", ["start", "stdout"])
@pytest.mark.usefixtures("nothing_saved")
def test_a_qemu_that_somebody_ends_blames_nobody(
    act: Callable[..., Run], number: signal.Signals, on: str
) -> None:
    run = act(_sent(number), on, "sh", "-c", "echo GO; sleep 5")
    assert run.verdict == ("ERROR", "infrastructure"), run
    assert run.record.exit_code == 125


def test_a_qemu_that_somebody_ends_while_it_comes_back_is_started_again(
    act: Callable[..., Run],
) -> None:
    assert act(_stopped_for(0), "never", "true").verdict == ("PASS", "ok")
    run = act(_sent(signal.SIGTERM), "start", "true")
    assert run.verdict == ("PASS", "ok"), run


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        (9, ("ERROR", "infrastructure")),
        (15, ("ERROR", "infrastructure")),
        (11, ("FAIL", "vmm-crash")),
    ],
)
def test_a_vmm_that_somebody_kills_is_told_from_one_that_crashes(
    project: Project, number: int, verdict: tuple[str, str]
) -> None:
    beside = ("sh", "-c", _KILL_THE_VMM.replace("SIGNAL", str(number)))
    options = boot_options(command=("sleep", "30"), host="lab").check()
    output = Output()
    with Progress(live=False) as progress:
        both, site = halves.build(project, progress), RunSite(rundir.create(project.runs))
        extras = RunExtras(beside=(beside,))
        record = boot_built(project, both, options, progress, output.streams, site, extras)
    run = output.run(record)
    assert run.verdict == verdict, run


# A process keeps the disk open: the last one to close it would wait for it.
_DIRTY = """
sleep 1000 <>/dev/vda >/dev/null 2>&1 &
echo 90 >/proc/sys/vm/dirty_background_ratio; echo 95 >/proc/sys/vm/dirty_ratio
echo 60000 >/proc/sys/vm/dirty_expire_centisecs
dd if=/dev/zero of=/dev/vda bs=1M count=200 conv=notrunc 2>/dev/null
"""


def _disk(tmp_path: Path) -> str:
    image = tmp_path / "disk.raw"
    with image.open("wb") as file:
        file.truncate(1 << 30)
    return f"{image},raw"


@pytest.mark.xdist_group("disk-writers")  # two at once wait too long for the host's own disk
def test_a_guest_that_writes_its_disk_after_its_command_is_waited_for(
    boot: Boot, tmp_path: Path
) -> None:
    """However long it takes: with so short a limit, the sign of life keeps the run waiting.

    The guest's own pauses are longer where the host's disk is slow: its vCPU waits for a whole
    queue of writes at a time.
    """
    run = boot("sh", "-c", _DIRTY, disks=(_disk(tmp_path),), memory_mib=1000, timeout_s=10.0)
    assert run.verdict == ("PASS", "ok"), run


@pytest.mark.xdist_group("disk-writers")  # two at once wait too long for the host's own disk
def test_a_guest_that_deadlocks_in_its_shutdown_hangs(boot: Boot, tmp_path: Path) -> None:
    """Its init is frozen while it waits for the disk, and never gets to the reset."""
    freeze = """
    mkdir /tmp/c; mount -t cgroup2 none /tmp/c; mkdir /tmp/c/frozen
    echo 1 >/tmp/c/frozen/cgroup.procs
    (sleep 0.7; echo 1 >/tmp/c/frozen/cgroup.freeze) >/dev/null 2>&1 </dev/null &
    """
    script = f"{_DIRTY} {freeze}"
    run = boot("sh", "-c", script, disks=(_disk(tmp_path),), memory_mib=1000, timeout_s=4.0)
    assert run.verdict == ("FAIL", "hang"), run
    assert "after the command ended" in run.record.outcome.summary


def test_a_limit_that_the_user_set_is_no_verdict(boot: Boot) -> None:
    run = boot("sleep", "60", deadline_s=3.0)
    assert (run.verdict, run.record.exit_code) == (("ERROR", "timeout"), 125), run


@pytest.mark.parametrize(
    ("faults", "verdict"), [(1, "FLAKY"), (2, "FLAKY"), (3, "FAIL")], ids=["1/2", "2/3", "3/3"]
)
def test_a_guest_that_faults_silently_in_some_of_its_boots_does_not_pass(
    act: Callable[..., Run], project: Project, faults: int, verdict: str
) -> None:
    """It counts its boots in a folder of ours, and resets by a triple fault in the first ones."""
    counted = "cd /mnt/count; echo >>boots; "
    fault = "echo triple >/sys/kernel/reboot/type; echo b >/proc/sysrq-trigger"
    words = ("sh", "-c", f"{counted} [ $(wc -l <boots) -gt {faults} ] || {{ {fault}; }}")
    # The lab host writes only below the checkout's build.
    with tempfile.TemporaryDirectory(dir=project.build) as folder:
        share = f"{folder},tag=count"
        run = act(lambda pid: None, "never", *words, shares=(share,))
        boots = (Path(folder) / "boots").read_text().count("\n")
    assert run.verdict[0] == verdict, run
    assert "triple fault" in run.record.outcome.summary
    assert boots == min(faults + 1, 3)
