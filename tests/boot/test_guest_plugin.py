# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin, as somebody else's pytest files use it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from kvm import process
from kvm.project import Project

pytestmark = pytest.mark.lab

DISKS = """
import pytest

@pytest.mark.parametrize("number", range(4))
@pytest.mark.machine(disk=["IMAGE,transient"], transport="pci", ring="packed")
def test_a_disk_is_as_it_was(booted_machine, number):
    run = booted_machine.run
    assert run("head -c 3 /dev/vda").stdout == "old"
    run("printf new | dd of=/dev/vda conv=notrunc,fsync; sync; echo 3 >/proc/sys/vm/drop_caches")
    assert run("dd if=/dev/vda iflag=direct bs=512 count=1 | head -c 3").stdout == "new"

@pytest.mark.machine(disk=["IMAGE"])
def test_it_would_be_written(booted_machine):
    assert booted_machine.run("printf own | dd of=/dev/vda conv=notrunc,fsync").code == 0
"""

BAD = """
import pytest

def test_dies(booted_machine):
    booted_machine.run("echo c >/proc/sysrq-trigger; sleep 60")

def test_warns(booted_machine):
    booted_machine.run("echo 'WARNING: CPU: 0 PID: 1 at x.c:1 foo+0x1/0x2' >/dev/kmsg")

@pytest.mark.machine(cpsu=2)
def test_typo(booted_machine):
    pass

@pytest.mark.machine(cpus=0)
def test_impossible(booted_machine):
    pass

def test_wrong(booted_machine):
    assert booted_machine.run("uname").stdout == "Hurd"
"""


MANY = """
import time
import pytest

SEEN = set()

@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("cpus,transport", [(1, "mmio"), (4, "pci")])
def test_nothing_is_left(pytestconfig, request, cpus, transport, number):
    request.node.add_marker(
        pytest.mark.machine(cpus=cpus, transport=transport, append="quiet")
    )
    machine = request.getfixturevalue("booted_machine")
    run = machine.run
    # Files, memory, processes, the clock of the machine, and the agent's stream are as they were.
    assert run("test -e /tmp/left || test -e /dev/shm/left || pidof sleep").code == 1
    done = run("cat /proc/uptime /proc/sys/kernel/random/uuid; nproc; date +%s")
    uptime, _, uuid, found, date = done.stdout.split()
    assert float(uptime) < 60 and abs(int(date) - time.time()) < 30
    assert (int(found), uuid in SEEN) == (cpus, False)
    SEEN.add(uuid)
    run("echo EXT4-fs: mounted >/dev/kmsg")
    run("head -c 3000000 /dev/urandom >/tmp/left; touch /dev/shm/left; sleep 1000 & echo $!")
    assert run(["cat"], stdin="x" * 200000).stdout == "x" * 200000
    if number % 4 == 3:  # left in the middle of its output
        run("yes | head -c 300000; kill -9 $$")

def test_another_shape(booted_machine):
    assert booted_machine.run("true").code == 0
"""


def run_pytest(*words: str | Path, cwd: Path) -> tuple[bool, str]:
    argv = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *words)
    without = {"PYTEST_ADDOPTS": "", "PYTEST_XDIST_WORKER": ""}
    done = process.run(argv, cwd=cwd, check=False, timeout_s=280, env=without)
    return done.ok, done.output


def test_the_examples_pass(project: Project) -> None:
    ok, said = run_pytest("examples/pytest", cwd=project.root)
    assert ok, said
    assert re.search(r"\b11 passed", said), said


def test_what_goes_wrong_is_told_once_and_in_words(project: Project, tmp_path: Path) -> None:
    (tmp_path / "test_bad.py").write_text(BAD)
    ok, said = run_pytest("test_bad.py", cwd=tmp_path)
    assert not ok
    assert "the machine has ended: FAIL kernel-panic: Kernel panic: sysrq triggered crash" in said
    assert "ERROR test_bad.py::test_dies" not in said
    assert "PASSED test_bad.py::test_warns" in said
    assert "ERROR test_bad.py::test_warns - Failed: kernel-warning" in said
    assert "@pytest.mark.machine(cpsu=...)" in said
    assert "a machine has 1 to 255 vCPUs" in said
    assert "'Linux\\n' == 'Hurd'" in said
    folder = re.search(rf"^{re.escape(os.fspath(project.runs))}/\S+$", said, re.MULTILINE)
    assert folder is not None and Path(folder[0]).is_dir()


def test_a_disk_is_put_back_too(project: Project, tmp_path: Path) -> None:
    image = tmp_path / "image.raw"
    image.write_bytes(b"old".ljust(4096, b"."))
    (tmp_path / "test_disks.py").write_text(DISKS.replace("IMAGE", str(image)))
    ok, said = run_pytest("test_disks.py", cwd=tmp_path)
    assert ok, said
    folders = re.findall(rf"^{re.escape(os.fspath(project.runs))}/\S+$", said, re.MULTILINE)
    assert len(set(folders)) == 2  # one for all that may share it
    assert image.read_bytes() == b"own".ljust(4096, b".")


def test_each_of_many_tests_finds_the_machine_as_it_was(project: Project, tmp_path: Path) -> None:
    (tmp_path / "test_many.py").write_text(MANY)
    ok, said = run_pytest("test_many.py", cwd=tmp_path)
    assert ok, said
    folders = re.findall(rf"^{re.escape(os.fspath(project.runs))}/\S+$", said, re.MULTILINE)
    # One of each shape; the last test takes one of its own, as it has another shape.
    assert len(folders) == 17
    assert len(set(folders)) == 3
