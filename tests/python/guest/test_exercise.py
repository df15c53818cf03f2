# SPDX-License-Identifier: GPL-2.0-only
"""The exercises on this machine: they accept good devices, and find the faults of bad ones."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kvm import process
from kvm.guest.build import build_exercise
from kvm.guest.initramfs import is_static
from kvm.matrix.pattern import SECTOR, pattern
from kvm.project import Project
from kvm.verdict.ktap import Report, Status, parse

SEED = 7
SIZE = 64 * SECTOR


@pytest.fixture(scope="session")
def exercise(project: Project) -> Path:
    return build_exercise(project)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    image = tmp_path / "disk"
    image.write_bytes(pattern(SEED, 0, SIZE))
    return image


def run(exercise: Path, *words: object, code: int = 0) -> Report:
    argv: tuple[str | Path, ...] = (exercise, *map(str, words))
    done = process.run(argv, timeout_s=60, check=False, env={"EXERCISE_PATIENCE_S": "20"})
    if "Invalid argument" in done.output:
        pytest.skip("no O_DIRECT on the file system of temporary files")
    assert done.returncode == code, done.output
    return parse(done.output.splitlines())


def statuses(report: Report) -> list[Status]:
    assert report.cases and not report.problems
    return [case.status for case in report.cases]


def test_it_is_static_and_compiled_once(project: Project, exercise: Path) -> None:
    assert is_static(exercise)
    assert build_exercise(project) == exercise


def test_a_word_it_does_not_know_gets_its_usage(exercise: Path) -> None:
    done = process.run((exercise, "dance"), check=False)
    assert done.returncode == 2
    assert "writers DEVICE SEED LENGTH" in done.output


def test_the_guests_pattern_is_ours(exercise: Path, disk: Path) -> None:
    assert statuses(run(exercise, "verify", disk, SEED, 0, SIZE, 4096)) == [Status.PASS]
    run(exercise, "fill", disk, SEED + 1, 8 * SECTOR, SIZE - 8 * SECTOR, 3 * SECTOR)
    wanted = pattern(SEED, 0, 8 * SECTOR) + pattern(SEED + 1, 8 * SECTOR, SIZE - 8 * SECTOR)
    assert disk.read_bytes() == wanted


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda good: good[:SECTOR] + bytes(SECTOR) + good[2 * SECTOR :], "sector 1 .* zeroes"),
        (lambda good: good[SECTOR:] + good[:SECTOR], "sector 0 .* sector 1 of this write"),
        (lambda good: pattern(SEED - 1, 0, SIZE), "sector 0 .* sector 0 of an earlier write"),
        (lambda good: good[:700] + b"x" + good[701:], "sector 1 is wrong from its byte 188 on"),
    ],
    ids=["lost", "swapped", "stale", "flipped"],
)
def test_a_wrong_sector_is_named(
    exercise: Path, disk: Path, spoil: Callable[[bytes], bytes], words: str
) -> None:
    disk.write_bytes(spoil(disk.read_bytes()))
    report = run(exercise, "verify", disk, SEED, 0, SIZE, 4096)
    assert statuses(report) == [Status.FAIL]
    comment = " ".join(report.cases[0].comments)
    first, _, rest = words.partition(" .* ")
    assert first in comment and rest in comment


def test_parallel_writers_leave_the_second_pass(exercise: Path, tmp_path: Path) -> None:
    image, size = tmp_path / "image", (1 << 20) + SECTOR
    image.write_bytes(bytes(size))
    assert statuses(run(exercise, "writers", image, SEED, size)) == [Status.PASS] * 2
    assert image.read_bytes() == pattern(SEED + 1, 0, size)


def test_files_are_found_whole_or_named(exercise: Path, tmp_path: Path) -> None:
    run(exercise, "files-write", tmp_path, SEED, 20)
    assert statuses(run(exercise, "files-verify", tmp_path, SEED, 20)) == [Status.PASS]
    victim = tmp_path / "01" / "file-0017"
    victim.write_bytes(victim.read_bytes()[:-1])
    report = run(exercise, "files-verify", tmp_path, SEED, 20)
    assert statuses(report) == [Status.FAIL]
    assert any("file-0017" in comment for comment in report.cases[0].comments)


def test_what_never_ends_is_reported_by_its_guard(exercise: Path, tmp_path: Path) -> None:
    argv = (exercise, "files-write", tmp_path, str(SEED), "100000000")
    done = process.run(argv, timeout_s=30, check=False, env={"EXERCISE_PATIENCE_S": "1"})
    assert done.returncode == 0
    assert "not done after 1 s" in done.output and "not ok" in done.output
    assert "1.." not in done.output.splitlines()[-1]


def test_time_in_which_it_was_not_run_does_not_count(exercise: Path, tmp_path: Path) -> None:
    """A machine that its host does not run stands still, but its clock goes on."""
    argv = (exercise, "files-write", tmp_path, str(SEED), "100000000")
    with process.spawn(
        argv, env={"EXERCISE_PATIENCE_S": "2"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as child:
        time.sleep(0.5)
        os.killpg(child.pid, signal.SIGSTOP)
        time.sleep(4)
        gone_on = time.monotonic()
        os.killpg(child.pid, signal.SIGCONT)
        output, _ = child.communicate(timeout=60)
    assert b"not done after 2 s" in output
    assert time.monotonic() - gone_on > 1


def test_a_device_that_is_not_there_ends_it(exercise: Path, tmp_path: Path) -> None:
    run(exercise, "verify", tmp_path / "gone", SEED, 0, SIZE, 4096, code=2)
