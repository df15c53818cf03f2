# SPDX-License-Identifier: GPL-2.0-only
"""KVM's modules are built alone only where a whole build would make nothing else anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kvm.kernel.quick import Whole, WholeBuild

_MODULES = ("arch/x86/kvm/kvm-amd.ko", "arch/x86/kvm/kvm.ko", "virt/lib/irqbypass.ko")
_KNOWN = Whole("the source", "CONFIG_KVM=m\n", _MODULES)
Suffices = Callable[..., bool]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder in which a whole kernel was built."""
    out = tmp_path / "out"
    records = {
        "arch/x86/kvm/.x86.o.cmd": "deps_arch/x86/kvm/x86.o := arch/x86/kvm/x86.h",
        "kernel/.fork.o.cmd": "deps_kernel/fork.o := kernel/fork.c arch/x86/kvm/shared.h",
    }
    for name, text in records.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text)
    return out


@pytest.fixture
def suffices(out: Path, tmp_path: Path) -> Suffices:
    def found(*changed: str, known: Whole = _KNOWN, missing: str = "") -> bool:
        tree = tmp_path / "tree"
        for name in changed:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            if name != missing:
                (tree / name).touch()
        paths = [tree / name for name in changed]
        return WholeBuild(out).suffices(known, _KNOWN.config, paths, tree)

    return found


@pytest.mark.parametrize(
    "changed",
    [
        ("virt/kvm/kvm_main.c",),
        ("arch/x86/kvm/svm/svm.c", "arch/x86/kvm/svm/svm.h", "arch/x86/kvm/svm/vmenter.S"),
        ("arch/x86/kvm/x86.h",),
    ],
)
def test_sources_of_kvm_need_its_modules_alone(
    suffices: Suffices, changed: tuple[str, ...]
) -> None:
    assert suffices(*changed)


@pytest.mark.parametrize(
    "changed",
    [
        ("virt/kvm/kvm_main.c", "kernel/fork.c"),
        ("include/linux/kvm_host.h",),
        ("virt/lib/irqbypass.c",),
        ("arch/x86/kvm/Makefile",),
        ("arch/x86/kvm/Kconfig",),
        ("arch/x86/kvm/shared.h",),  # another object has read it
        (),
    ],
)
def test_all_else_needs_a_whole_build(suffices: Suffices, changed: tuple[str, ...]) -> None:
    assert not suffices(*changed)


def test_so_do_a_removed_source_another_config_and_an_unknown_state(
    suffices: Suffices, out: Path, tmp_path: Path
) -> None:
    source = "virt/kvm/kvm_main.c"
    assert not suffices(source, missing=source)
    assert suffices(source)
    assert not suffices(source, known=replace(_KNOWN, config="CONFIG_KVM=y\n"))
    assert not suffices(source, known=replace(_KNOWN, modules=("fs/other.ko",)))
    assert not WholeBuild(out).suffices(_KNOWN, _KNOWN.config, None, tmp_path)


def test_a_build_that_was_killed_is_no_whole_one(out: Path) -> None:
    folder = WholeBuild(out)
    assert folder.read() is None
    folder.done(_KNOWN)
    assert folder.read() == _KNOWN
    folder.begin()
    assert folder.read() is None
