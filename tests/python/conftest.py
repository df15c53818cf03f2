# SPDX-License-Identifier: GPL-2.0-only
"""A project whose pinned kernel is a small local tarball."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.project import Project
from support.checkout import FILES, Checkout


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    root = tmp_path / "checkout"
    (root / "linux" / "patches").mkdir(parents=True)
    (root / "linux" / "patches" / "series").write_text("")
    (root / "tools" / "kvm").mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KERNEL_TREE", raising=False)
    made = Checkout(Project(root))
    made.repin("6.12.1", FILES)
    return made
