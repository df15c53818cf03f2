# SPDX-License-Identifier: GPL-2.0-only
"""A machine on which everything is right; tests replace one fact at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.doctor.facts import Disk, Facts, KernelTree
from kvm.doctor.kvm_device import KvmDevice, KvmState
from kvm.doctor.packages import Family, Package, parse
from kvm.project import Project


@pytest.fixture
def healthy() -> Facts:
    return Facts(
        python=(3, 11, 2),
        machine="x86_64",
        family=Family.DEBIAN,
        missing=(),
        versions={
            "gcc": (12, 2, 0),
            "g++": (12, 2, 0),
            "ld": (2, 40),
            "make": (4, 3),
            "ccache": (4, 7, 5),
            "git": (2, 39, 5),
            "qemu-system-x86_64": (7, 2, 22),
        },
        disks=(
            Disk("build", Path("/checkout/build"), 50 << 30),
            Disk("cache", Path("/cache"), 50 << 30),
        ),
        memory_mib=16000,
        cores=8,
        kvm=KvmDevice(KvmState.USABLE, "a guest ran", nested=True),
        tree=KernelTree("pinned", Path("/checkout/linux/tree"), fetched=True),
        lab=None,
    )


@pytest.fixture(scope="session")
def listed() -> tuple[Package, ...]:
    """The packages that this repository lists."""
    return parse((Project.find().root / "ci" / "packages.txt").read_text())
