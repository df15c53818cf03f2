# SPDX-License-Identifier: GPL-2.0-only
"""The words of ``./invoke test`` become pytest's."""

from __future__ import annotations

from kvm.project import Project
from kvm.run.suite import arguments


def test_everything_runs_by_default_on_all_workers() -> None:
    assert arguments(Project.find(), "", 2, ()) == ("tests", "-n", "2", "--dist", "loadgroup")


def test_a_path_after_the_dashes_replaces_everything() -> None:
    words = arguments(Project.find(), "", 1, ("tests/style/test_files.py::test_x", "-x"))
    assert words == ("tests/style/test_files.py::test_x", "-x")


def test_one_worker_needs_no_xdist() -> None:
    assert arguments(Project.find(), "lock", 1, ("--lf",)) == ("tests", "-k", "lock", "--lf")
