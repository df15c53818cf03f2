# SPDX-License-Identifier: GPL-2.0-only
"""kvm.host.given: a machine that was not run is distinguished from one that did nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kvm.host import given
from kvm.host.given import GivenClock, Kept, Span


class Wall:
    """Replaces the module ``time``: the test advances it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    found = Wall()
    monkeypatch.setattr(given, "time", found)
    return found


class Proc:
    """A /proc with one process, 7, and the computer's CPUs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cpus()

    def thread(self, number: int, state: str = "S", waited_s: float = 0.0) -> None:
        task = self.folder / "7" / "task" / str(number)
        task.mkdir(parents=True, exist_ok=True)
        (task / "stat").write_text(f"{number} (CPU 0/TCG) {state} 1 7\n")
        (task / "schedstat").write_text(f"123456 {int(waited_s * 1e9)} 17\n")

    def cpus(self, busy: int = 0, idle: int = 0, stolen: int = 0) -> None:
        (self.folder / "stat").write_text(f"cpu  {busy} 0 0 {idle} 0 0 0 {stolen} 0 0\ncpu0 1\n")


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def test_the_thread_that_waited_longest_for_a_cpu_counts(proc: Proc, wall: Wall) -> None:
    proc.thread(7)
    proc.thread(8, waited_s=50.0)
    kept = Kept(7, proc.folder)
    wall.now += 1.0
    proc.thread(7, waited_s=0.2)
    proc.thread(8, "R", waited_s=50.75)
    proc.thread(9, waited_s=100.0)  # a new thread: its earlier waiting does not count
    assert kept() == pytest.approx(0.75)
    wall.now += 1.0
    assert kept() == 0.0


@pytest.mark.parametrize(("state", "seconds"), [("S", 0.0), ("R", 0.0), ("T", 2.0), ("D", 2.0)])
def test_a_stopped_thread_and_one_that_waits_for_a_disk_do_not_run(
    proc: Proc, wall: Wall, state: str, seconds: float
) -> None:
    proc.thread(7)
    proc.thread(8)
    kept = Kept(7, proc.folder)
    wall.now += 2.0
    proc.thread(8, state)
    assert kept() == pytest.approx(seconds)


def test_what_a_hypervisor_gave_to_others_was_kept(proc: Proc, wall: Wall) -> None:
    proc.thread(7)
    proc.cpus(busy=100, idle=500)
    kept = Kept(7, proc.folder)
    wall.now += 1.0
    proc.cpus(busy=130, idle=600, stolen=10)
    assert kept() == pytest.approx(0.25)


@pytest.mark.parametrize("pid", [None, 7])
def test_a_process_that_nobody_knows_of_was_run(proc: Proc, wall: Wall, pid: int | None) -> None:
    kept = Kept(pid, proc.folder)
    wall.now += 1.0
    assert kept() == 0.0


def test_a_process_that_is_stopped_in_earnest() -> None:
    child = subprocess.Popen(("sleep", "60"))
    try:
        kept = Kept(child.pid)
        time.sleep(0.05)
        asleep = kept()
        child.send_signal(signal.SIGSTOP)
        os.waitpid(child.pid, os.WUNTRACED)
        time.sleep(0.05)
        assert asleep < 0.04
        assert kept() >= 0.05
    finally:
        child.kill()
        child.wait()


def test_a_process_that_waits_for_its_cpu_in_earnest() -> None:
    one = min(os.sched_getaffinity(0))
    busy = f"import os\nos.sched_setaffinity(0, [{one}])\nprint(flush=True)\nwhile True: pass"
    children = [
        subprocess.Popen((sys.executable, "-c", busy), stdout=subprocess.PIPE) for _ in range(3)
    ]
    try:
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        kept, begun = Kept(children[0].pid), time.monotonic()
        time.sleep(1)
        assert kept() > 0.3 * (time.monotonic() - begun)
    finally:
        for child in children:
            child.kill()
            child.communicate()


Pass = Callable[..., None]


@pytest.fixture
def clock(wall: Wall) -> Iterator[tuple[GivenClock, Pass]]:
    """A clock, and a function that lets time pass, a ``share`` of which is kept."""
    kept: list[float] = []
    found = GivenClock(lambda: kept.pop() if kept else 0.0)

    def let_pass(seconds: float, share: float = 0.0, step_s: float = 0.5) -> None:
        for _ in range(round(seconds / step_s)):
            wall.now += step_s
            kept[:] = [step_s * share]
            found.look()

    yield found, let_pass


def test_a_machine_that_is_run_has_had_its_time_by_the_walls_clock(
    clock: tuple[GivenClock, Pass],
) -> None:
    span = Span(clock[0])
    clock[1](5.5)
    assert not span.had(6.0)
    clock[1](0.5)
    assert span.had(6.0)
    span.restart()
    assert not span.had(6.0)


def test_half_the_time_counts_for_a_quarter(clock: tuple[GivenClock, Pass]) -> None:
    span = Span(clock[0])
    clock[1](23.5, share=0.5)
    assert not span.had(6.0)
    clock[1](1.0, share=0.5)
    assert span.had(6.0)
    assert clock[0].kept_s == pytest.approx(12.25)


def test_a_machine_that_is_never_run_is_not_waited_for_for_ever(
    clock: tuple[GivenClock, Pass],
) -> None:
    quick, long = Span(clock[0]), Span(clock[0])
    clock[1](119.5, share=1.0)
    assert not quick.over(6.0)
    clock[1](0.5, share=1.0)
    assert not quick.had(6.0) and quick.hopeless(6.0) and quick.over(6.0)
    assert not long.over(90.0)
    clock[1](150, share=1.0)
    assert long.hopeless(90.0)


def test_time_in_which_nobody_looked_is_not_given(
    clock: tuple[GivenClock, Pass], wall: Wall
) -> None:
    """The caller was stopped, or waited for its reader: events from meanwhile are not read yet."""
    span = Span(clock[0])
    clock[1](2.0)
    wall.now += 20.0
    clock[0].look()
    assert not span.had(6.0)
    clock[1](4.0)
    assert span.had(6.0)


def test_stalls_are_doubted_where_much_was_kept_at_once(clock: tuple[GivenClock, Pass]) -> None:
    clock[1](600, share=0.1)
    assert clock[0].kept_s == pytest.approx(60)
    assert not clock[0].spoilt
    clock[1](5, share=1.0)
    assert clock[0].spoilt
