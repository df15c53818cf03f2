# SPDX-License-Identifier: GPL-2.0-only
"""The VMM core's layering, read off its #include lines."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

_SRC = PurePosixPath("tools/kvm/src")

# What each folder may include, besides itself. Only machine/ sees everything; the
# Python bindings sit on top of it. A new folder must be given its place here.
_ALLOWED: dict[str, frozenset[str]] = {
    "base": frozenset(),
    "memory": frozenset(("base",)),
    "bus": frozenset(("base",)),
    "pci": frozenset(("base", "bus")),
    "vfio": frozenset(("base", "bus", "pci")),
    "kvm": frozenset(("base", "memory")),  # maps guest memory into the VM
    "kvm/uapi/linux": frozenset(),  # in front of the kernel's own headers
    "backend": frozenset(("base", "memory")),
    "backend/qcow2": frozenset(("base", "backend")),
    "display": frozenset(("base",)),
    "ninep": frozenset(("base",)),
    "virtio/queue": frozenset(("base", "memory")),
    "virtio": frozenset(("base", "memory", "virtio/queue")),
    "virtio/device": frozenset(("base", "memory", "backend", "ninep", "virtio", "virtio/queue")),
    "virtio/transport": frozenset(("base", "memory", "bus", "pci", "virtio", "virtio/queue")),
    "devices": frozenset(("base", "memory", "bus")),  # guest events lie in guest memory
    "arch/x86_64": frozenset(("base", "memory", "kvm")),
    "loader": frozenset(("base", "memory", "arch/x86_64")),
}
_SEES_EVERYTHING = frozenset(("machine",))
_KVM_HEADER_USERS = frozenset(("kvm",))
_INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.M)


@pytest.fixture(scope="module")
def sources(texts: dict[str, str]) -> dict[PurePosixPath, str]:
    """The core's C++ files, by their path from tools/kvm/src."""
    paths = {PurePosixPath(name): text for name, text in texts.items()}
    return {
        path.relative_to(_SRC): text
        for path, text in paths.items()
        if path.is_relative_to(_SRC) and path.suffix in (".hpp", ".cpp", ".h")
    }


def violations(sources: dict[PurePosixPath, str]) -> list[str]:
    """Each quoted #include that points to a folder which its file may not see."""
    found = []
    for path, text in sources.items():
        folder = path.parent.as_posix()
        if folder in _SEES_EVERYTHING:
            continue
        for quoted, _ in _INCLUDE.findall(text):
            target = PurePosixPath(quoted).parent.as_posix()
            if not quoted or target in (".", folder):
                continue
            if target not in _ALLOWED.get(folder, frozenset()):
                found.append(f"{_SRC / path} includes {quoted}: {folder} may not see {target}")
    return found


def test_every_folder_has_a_place_in_the_layering(sources: dict[PurePosixPath, str]) -> None:
    folders = {path.parent.as_posix() for path in sources}
    assert folders <= _ALLOWED.keys() | _SEES_EVERYTHING


def test_includes_follow_the_layering(sources: dict[PurePosixPath, str]) -> None:
    found = violations(sources)
    assert not found, "\n".join(found)


def test_a_device_that_knows_its_transport_is_caught() -> None:
    device = PurePosixPath("virtio/device/rng.hpp")
    assert violations({device: '#include "virtio/transport/mmio.hpp"\n'})
    assert not violations({device: '#include "virtio/queue/queue.hpp"\n'})


def test_layering_has_no_cycle() -> None:
    placed: set[str] = set()
    while ready := {f for f, sees in _ALLOWED.items() if f not in placed and sees <= placed}:
        placed |= ready
    assert placed == _ALLOWED.keys()


def test_only_the_kvm_folder_includes_the_kvm_header(sources: dict[PurePosixPath, str]) -> None:
    users = {
        path.as_posix()
        for path, text in sources.items()
        for _, system in _INCLUDE.findall(text)
        if system in ("linux/kvm.h", "asm/kvm.h") and path.parts[0] not in _KVM_HEADER_USERS
    }
    assert not users, f"use the types of kvm/ instead of <linux/kvm.h>: {sorted(users)}"


def test_the_core_knows_no_python(sources: dict[PurePosixPath, str]) -> None:
    users = [
        path.as_posix()
        for path, text in sources.items()
        for _, system in _INCLUDE.findall(text)
        if system.startswith("pybind11") or system == "Python.h"
    ]
    assert not users, users
