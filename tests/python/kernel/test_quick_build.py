# SPDX-License-Identifier: GPL-2.0-only
"""What a quick build of KVM's modules makes is what make makes when it looks at everything.

It builds a whole kernel in a clone of the tree, so it runs only on request:
``TOOLSKVM_QUICK_BUILD=1 ./invoke test -n 1 -- tests/python/kernel/test_quick_build.py``.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

import pytest

from kvm import process
from kvm.kernel import build, tree
from kvm.kernel.build import Kernel
from kvm.kernel.config import ConfigSpec
from kvm.project import Project

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        os.environ.get("TOOLSKVM_QUICK_BUILD") != "1",
        reason="builds a whole kernel: set TOOLSKVM_QUICK_BUILD=1",
    ),
]

# Each gets a line on top, and so WARN_ON() records other lines. Is a quick build enough?
_EDITS = {
    "virt/kvm/kvm_main.c": True,
    "arch/x86/kvm/svm/svm.c": True,
    "arch/x86/kvm/mmu/mmu_internal.h": True,
    "arch/x86/kvm/svm/vmenter.S": True,
    "kernel/fork.c": False,
}


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = Project.find()
    folder = tmp_path / "linux"
    source = tree.prepare(found, lambda text: None).path
    process.run(("git", "clone", "-q", "--shared", source, folder), timeout_s=600)
    monkeypatch.setenv("KERNEL_TREE", str(folder))
    monkeypatch.setenv("O", str(tmp_path / "out"))
    return folder


def _content(kernel: Kernel) -> dict[str, str]:
    files = (kernel.vmlinux, kernel.system_map, *kernel.modules)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_it_makes_what_make_makes(clone: Path) -> None:
    project = Project.find()
    spec = ConfigSpec.named("default", project.linux / "configs")

    def built(*, full: bool = False) -> tuple[Kernel, str]:
        found = tree.prepare(project, lambda text: None)
        kernel = build.build(project, found, spec, lambda text: None, full=full)
        return kernel, (Path(os.environ["O"]) / "build.log").read_text()

    before = _content(built(full=True)[0])
    for name, is_quick in _EDITS.items():
        file = clone / name
        # Nothing that the cache has from an earlier run.
        file.write_text(f"/* {secrets.token_hex()} */\n{file.read_text()}")
        quick, log = built()
        assert ("  LD      vmlinux" in log) is not is_quick, log[-2000:]
        made = _content(quick)
        assert made != before or not name.endswith(".c"), name
        whole, _ = built(full=True)
        assert _content(whole) == made, name
        before = made
