# SPDX-License-Identifier: GPL-2.0-only
"""A running machine is acted upon by its name."""

from __future__ import annotations

import os
import time

import pytest

from kvm.control import client
from kvm.errors import UserError
from kvm.project import Project
from support import guests
from support.guests import Act, Guest
from support.machines import Run

pytestmark = pytest.mark.lab

NAME = f"control-test-{os.getpid()}"  # these tests may run side by side
COUNT = "i=0; while [ $i -lt {} ]; do echo count $i; i=$((i+1)); sleep 0.1; done"


def play(project: Project, script: str, act: Act, **options: object) -> Run:
    return guests.play(project, script, act, name=NAME, **options)


def test_a_paused_guest_stands_still_and_notices_nothing(project: Project) -> None:
    def act(guest: Guest) -> None:
        guest.wait_for("count 3")
        client.ask(NAME, "pause")
        (described,) = (one for one in client.descriptions() if one["name"] == NAME)
        assert (described["state"], described["host"]) == ("paused", "lab")
        time.sleep(0.5)  # output that was on its way
        before = guest.said
        time.sleep(5)
        assert guest.said == before
        assert client.ask(NAME, "stat")["paused"]
        client.ask(NAME, "resume")

    run = play(project, COUNT.format(20), act)
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout.splitlines()[-1] == b"count 19"
    assert "lockup" not in run.console


def test_a_pause_lasts_longer_than_the_silence_that_is_allowed(project: Project) -> None:
    def act(guest: Guest) -> None:
        guest.wait_for("count 3")
        client.ask(NAME, "pause")
        time.sleep(22)
        client.ask(NAME, "resume")

    run = play(project, COUNT.format(10), act, vcpus=2)
    assert run.verdict == ("PASS", "ok"), run
    assert "lockup" not in run.console and "rcu: INFO" not in run.console


def test_an_nmi_and_a_sysrq_reach_the_kernel(project: Project) -> None:
    def act(guest: Guest) -> None:
        guest.wait_for("count 3")
        client.ask(NAME, "nmi", vcpu=1)
        assert client.ask(NAME, "sysrq", key="h") == {"by": "init"}
        with pytest.raises(UserError, match="no vCPU 2"):
            client.ask(NAME, "nmi", vcpu=2)

    run = play(project, COUNT.format(20), act, vcpus=2)
    assert run.verdict == ("PASS", "ok"), run
    assert "NMI received for unknown reason" in run.console
    assert "on CPU 1" in run.console
    assert "sysrq: HELP" in run.console


def test_a_balloon_is_set_while_the_machine_runs(project: Project) -> None:
    def act(guest: Guest) -> None:
        guest.wait_for("count 3")
        client.ask(NAME, "balloon", mib=64)
        end = time.monotonic() + 30
        while client.ask(NAME, "stat")["balloon"]["actual_bytes"] < 64 << 20:
            assert time.monotonic() < end
        with pytest.raises(UserError, match=f"machine {NAME}"):
            client.ask(NAME, "balloon", mib=100_000)

    run = play(project, COUNT.format(40), act, balloon_mib=0)
    assert run.verdict == ("PASS", "ok"), run


def test_a_machine_is_stopped_by_name(project: Project) -> None:
    guest = Guest(project, COUNT.format(1000), name=NAME)
    guest.wait_for("count 3")
    client.ask(NAME, "stop")
    run = guest.end()
    assert run.verdict == ("ERROR", "infrastructure"), run
    assert run.record.outcome.summary == "stopped by machine.stop"
    with pytest.raises(UserError, match="no machine called"):
        client.ask(NAME, "stat")


def test_a_console_on_the_serial_line_hears_a_break(project: Project) -> None:
    """Does what ``machine.sysrq`` does before init is up; here init keeps the line open."""

    def act(guest: Guest) -> None:
        guest.wait_for("count 3")
        assert client.ask(NAME, "sysrq", key="h", by="serial") == {"by": "serial"}

    script = "exec 3</dev/ttyS0; echo 1 > /proc/sys/kernel/sysrq; " + COUNT.format(20)
    run = play(project, script, act, append="console=ttyS0")
    assert run.verdict == ("PASS", "ok"), run
    assert "sysrq: HELP" in run.console
