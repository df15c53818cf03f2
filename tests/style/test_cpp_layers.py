# SPDX-License-Identifier: GPL-2.0-only
"""The VMM core's layering, read from its #include lines."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

from support import layers
from support.layers import Layers

_SRC = PurePosixPath("tools/kvm/src")

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


@pytest.fixture(scope="module")
def allowed(texts: dict[str, str]) -> Layers:
    return layers.read(texts["ARCHITECTURE.md"], "The core")


def violations(sources: dict[PurePosixPath, str], allowed: Layers) -> list[str]:
    """Each quoted #include of a folder that its file may not use."""
    return [
        f"{_SRC / path} includes {quoted}: {folder} may not use {target}"
        for path, text in sources.items()
        for quoted, _ in _INCLUDE.findall(text)
        if quoted and (target := PurePosixPath(quoted).parent.as_posix()) != "."
        if not layers.may_use(allowed, folder := path.parent.as_posix(), target)
    ]


def test_every_folder_has_a_place_in_the_layering(
    sources: dict[PurePosixPath, str], allowed: Layers
) -> None:
    assert {path.parent.as_posix() for path in sources} == allowed.keys()


def test_includes_follow_the_layering(sources: dict[PurePosixPath, str], allowed: Layers) -> None:
    found = violations(sources, allowed)
    assert not found, "\n".join(found)


def test_a_device_that_knows_its_transport_is_caught(allowed: Layers) -> None:
    device = PurePosixPath("virtio/device/rng.hpp")
    assert violations({device: '#include "virtio/transport/mmio.hpp"\n'}, allowed)
    assert not violations({device: '#include "virtio/queue/queue.hpp"\n'}, allowed)


def test_layering_has_no_circle(allowed: Layers) -> None:
    assert not layers.unplaced(allowed)


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
