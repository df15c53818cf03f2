# SPDX-License-Identifier: GPL-2.0-only
"""A cache for these tests alone, with one init compiled into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.guest.build import build_init
from kvm.project import Project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """This checkout, with a cache that is removed with the test run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        found = Project.find()
        assert found.cache.name == "tools-kvm"
    return found


@pytest.fixture(scope="session")
def init(project: Project) -> Path:
    return build_init(project)
