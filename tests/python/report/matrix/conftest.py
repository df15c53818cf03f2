# SPDX-License-Identifier: GPL-2.0-only
"""A checkout with two stored runs of seventy cells, and the view of the second."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.project import Project
from kvm.report.matrix.gather import gather
from kvm.report.matrix.view import View
from kvm.results.store import Store
from support.matrix_run import stored


@pytest.fixture(scope="package")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Shared by the tests, which write nothing below its root."""
    root: Path = tmp_path_factory.mktemp("checkout")
    stored(root)
    return Project(root)


@pytest.fixture(scope="package")
def view(project: Project) -> View:
    with Store.open(project.build / "results.sqlite3") as store:
        (run,) = store.runs(1)
        return gather(store, run, project.root)
