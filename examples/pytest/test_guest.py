# SPDX-License-Identifier: GPL-2.0-only
"""Tests of a guest: ./invoke test -- examples/pytest

Each test has a machine of its own, with this checkout's kernel, on this checkout's VMM and KVM.
"""

from __future__ import annotations

import pytest

from kvm.run.live import CommandTimeout, LiveGuest


def test_a_command_has_its_streams_and_its_exit_code(booted_machine: LiveGuest) -> None:
    done = booted_machine.run("uname -s; echo oops >&2; exit 3")
    assert (done.code, done.stdout, done.stderr) == (3, "Linux\n", "oops\n")


def test_a_machine_runs_one_command_after_another(booted_machine: LiveGuest) -> None:
    booted_machine.run(["dd", "of=/tmp/note"], stdin="kept")
    assert booted_machine.run(["cat", "/tmp/note"]).stdout == "kept"


def test_what_one_test_does_is_unknown_to_the_next(booted_machine: LiveGuest) -> None:
    assert booted_machine.run("test -e /tmp/note").code == 1


@pytest.mark.machine(cpus=2, memory="128M", append="nokaslr")
def test_a_machine_of_another_shape(booted_machine: LiveGuest) -> None:
    assert booted_machine.run("nproc").stdout == "2\n"
    assert "nokaslr" in booted_machine.run("cat /proc/cmdline").stdout


@pytest.mark.machine(clone=False)
def test_a_machine_that_boots_for_this_test(booted_machine: LiveGuest) -> None:
    uptime_s = float(booted_machine.run("cut -d' ' -f1 /proc/uptime").stdout)
    assert uptime_s < 60


def test_a_command_that_takes_too_long(booted_machine: LiveGuest) -> None:
    with pytest.raises(CommandTimeout) as late:
        booted_machine.run("echo begun; sleep 1000", timeout_s=3)
    assert late.value.done.stdout == "begun\n"
    assert booted_machine.run("echo still here").stdout == "still here\n"


@pytest.mark.parametrize("number", range(5))
def test_random_numbers_differ(booted_machine: LiveGuest, number: int) -> None:
    assert len(booted_machine.run("head -c 16 /dev/urandom | od -An -tx1").stdout) > 40
