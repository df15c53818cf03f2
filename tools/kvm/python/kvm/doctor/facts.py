# SPDX-License-Identifier: GPL-2.0-only
"""Gathers facts about this machine without judging them. It reads and changes nothing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kvm import process
from kvm.doctor import packages
from kvm.doctor.kvm_device import KvmDevice, Probe, examine
from kvm.doctor.packages import Family, Package
from kvm.errors import UserError
from kvm.kernel import tree
from kvm.project import Project

_OS_RELEASE = Path("/etc/os-release")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_VERSIONED = ("gcc", "g++", "ld", "make", "ccache", "git", "qemu-system-x86_64")

LabWords = Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class Disk:
    """The free space at a place that will be written."""

    purpose: str
    path: Path
    free_bytes: int


@dataclass(frozen=True, slots=True)
class KernelTree:
    """The kernel tree that is built, and what is wrong with it (empty: nothing)."""

    mode: str
    path: Path
    fetched: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All facts that the judgement needs, as plain values."""

    python: tuple[int, int, int]
    machine: str
    family: Family
    missing: tuple[Package, ...]
    versions: dict[str, tuple[int, ...] | None]
    disks: tuple[Disk, ...]
    memory_mib: int
    cores: int
    kvm: KvmDevice
    tree: KernelTree
    lab: str | None


def gather(project: Project, probe: Probe | None, lab: LabWords | None) -> Facts:
    """Examine the machine and the checkout."""
    listed = packages.parse((project.root / "ci" / "packages.txt").read_text())
    return Facts(
        python=sys.version_info[:3],
        machine=platform.machine(),
        family=packages.family(_OS_RELEASE.read_text() if _OS_RELEASE.is_file() else ""),
        missing=tuple(p for p in listed if not packages.present(p)),
        versions={name: version_of(name) for name in _VERSIONED},
        disks=(_disk("build", project.build), _disk("cache", project.cache)),
        memory_mib=memory_mib(),
        cores=len(os.sched_getaffinity(0)),
        kvm=examine(probe),
        tree=kernel_tree(project),
        lab=lab() if lab is not None else None,
    )


def version_of(command: str) -> tuple[int, ...] | None:
    """The version that a command prints; None if it is missing or prints none."""
    path = packages.find_command(command)
    if path is None:
        return None
    try:
        told = process.run((path, "--version"), timeout_s=20, check=False).output
    except UserError:
        return None
    return parse_version(told)


def parse_version(text: str) -> tuple[int, ...] | None:
    """The first dotted number outside parentheses, which contain the packager's own."""
    first_line = text.partition("\n")[0]
    found = re.search(r"\b(\d+(?:\.\d+)+)", re.sub(r"\([^)]*\)", "", first_line))
    return tuple(int(part) for part in found[1].split(".")) if found else None


def kernel_tree(project: Project) -> KernelTree:
    """The tree that commands would build, according to ``kvm.kernel.tree``."""
    try:
        found = tree.locate(project)
    except UserError as wrong:
        return KernelTree("external", Path(), False, wrong.message)
    return KernelTree(found.mode.value, found.path, (found.path / "Kbuild").is_file())


def memory_mib() -> int:
    """The memory that this process may use: the machine's, or its control group's if less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if _CGROUP_LIMIT.is_file():
        limit = _CGROUP_LIMIT.read_text().strip()
        total = min(total, int(limit)) if limit.isdigit() else total
    return total >> 20


def _disk(purpose: str, path: Path) -> Disk:
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    return Disk(purpose, path, shutil.disk_usage(there).free)
