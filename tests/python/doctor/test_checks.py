# SPDX-License-Identifier: GPL-2.0-only
"""kvm.doctor.checks: the meaning of each fact for building and booting."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kvm.doctor.checks import judge
from kvm.doctor.facts import Disk, Facts, KernelTree
from kvm.doctor.kvm_device import KvmDevice, KvmState
from kvm.doctor.model import Check, Report, State
from kvm.doctor.packages import Family, Package


def _check(report: Report, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def _without(facts: Facts, listed: tuple[Package, ...], *probes: str) -> Facts:
    missing = tuple(p for p in listed if set(p.probes) & set(probes))
    return replace(facts, missing=missing)


def test_a_healthy_machine_has_nothing_to_mend(healthy: Facts) -> None:
    report = judge(healthy)
    assert report.exit_code == 0
    assert {check.state for check in report.checks} == {State.OK}
    assert not any(check.hint for check in report.checks)
    assert report.host_choice == "native"


def test_every_check_that_is_not_ok_has_a_mend(healthy: Facts, listed: tuple[Package, ...]) -> None:
    broken = replace(
        healthy,
        machine="riscv64",
        missing=listed,
        versions=dict.fromkeys(healthy.versions),
        disks=(Disk("build", Path("/b"), 0), Disk("cache", Path("/c"), 0)),
        memory_mib=1024,
        cores=1,
        kvm=KvmDevice(KvmState.ABSENT, "No such file or directory"),
        tree=KernelTree("external", Path(), fetched=False, problem="KERNEL_TREE=/x is no tree"),
    )
    report = judge(broken)
    assert report.exit_code == 1
    assert all(check.hint for check in report.checks if check.state is not State.OK)
    assert {c.name for c in report.checks if c.state is State.OK} == {"lab host"}


def test_every_listed_package_is_reported_when_missing(
    healthy: Facts, listed: tuple[Package, ...]
) -> None:
    for package in listed:
        report = judge(replace(healthy, missing=(package,)))
        found = [c for c in report.checks if c.state is not State.OK]
        assert len(found) == 1, package
        assert package.debian in found[0].hint


@pytest.mark.parametrize(
    ("family", "command"),
    [
        (Family.DEBIAN, "apt-get install --no-install-recommends flex libelf-dev"),
        (Family.FEDORA, "dnf install flex elfutils-libelf-devel"),
        (Family.ARCH, "pacman -S --needed flex libelf"),
    ],
)
def test_mends_name_packages_as_the_distribution_does(
    healthy: Facts, listed: tuple[Package, ...], family: Family, command: str
) -> None:
    facts = _without(replace(healthy, family=family), listed, "flex", "/usr/include/libelf.h")
    report = judge(facts)
    hints = " ".join(check.hint for check in report.checks)
    assert set(command.split()) <= set(hints.split())


def test_missing_ccache_only_slows(healthy: Facts, listed: tuple[Package, ...]) -> None:
    report = judge(_without(healthy, listed, "ccache"))
    assert _check(report, "ccache").state is State.WARN
    assert report.exit_code == 0


def test_too_old_a_compiler_is_bad(healthy: Facts) -> None:
    report = judge(replace(healthy, versions={**healthy.versions, "g++": (9, 4, 0)}))
    assert _check(report, "compilers").state is State.BAD
    assert "g++ ≥ 11" in _check(report, "compilers").hint


def test_little_disk_says_how_much_to_free(healthy: Facts) -> None:
    report = judge(replace(healthy, disks=(Disk("cache", Path("/c"), 6 << 30),)))
    check = _check(report, "disk for cache")
    assert check.state is State.BAD
    assert "free 2.0 GiB" in check.hint
    assert "XDG_CACHE_HOME" in check.hint


def test_a_machine_sold_as_4_gib_is_enough(healthy: Facts) -> None:
    assert _check(judge(replace(healthy, memory_mib=3900)), "memory").state is State.OK
    assert _check(judge(replace(healthy, memory_mib=3000)), "memory").state is State.WARN


@pytest.mark.parametrize("state", [KvmState.ABSENT, KvmState.DENIED, KvmState.BROKEN])
def test_without_usable_kvm_the_lab_is_chosen_and_nothing_is_bad(
    healthy: Facts, state: KvmState
) -> None:
    report = judge(replace(healthy, kvm=KvmDevice(state, "the reason")))
    assert report.host_choice == "lab"
    assert "the reason" in report.why
    assert _check(report, "/dev/kvm").state is State.WARN
    assert report.exit_code == 0


def test_an_unprobed_kvm_leaves_the_choice_open(healthy: Facts) -> None:
    unprobed = KvmDevice(KvmState.OPENS, "not probed: VMM not built")
    report = judge(replace(healthy, kvm=unprobed))
    assert report.host_choice == "undecided"
    assert "not probed: VMM not built" in _check(report, "/dev/kvm").detail
    assert "./invoke build" in _check(report, "/dev/kvm").hint


def test_no_kvm_and_no_qemu_leaves_no_host(healthy: Facts) -> None:
    absent = KvmDevice(KvmState.ABSENT, "No such file or directory")
    versions = {**healthy.versions, "qemu-system-x86_64": None}
    assert judge(replace(healthy, kvm=absent, versions=versions)).host_choice == "none"


def test_an_unfetched_tree_is_fine(healthy: Facts) -> None:
    tree = replace(healthy.tree, fetched=False)
    check = _check(judge(replace(healthy, tree=tree)), "kernel tree")
    assert check.state is State.OK
    assert "first build" in check.detail


def test_a_running_lab_host_is_told(healthy: Facts) -> None:
    assert _check(judge(replace(healthy, lab="up 5 min")), "lab host").detail == "up 5 min"
