# SPDX-License-Identifier: GPL-2.0-only
"""The options of ``./invoke test`` become pytest's."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from kvm import process
from kvm.commands.test import arguments, configs, main
from kvm.commands.words import TestWords
from kvm.errors import UsageError
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.spec.fields import read

SLOWEST = ("--durations=10", "--durations-min=30")


def test_everything_runs_by_default_on_all_workers() -> None:
    words = arguments(Project.find(), "", 2, ())
    assert words == ("tests", *SLOWEST, "-n", "2", "--dist", "loadgroup")


def test_a_path_after_the_dashes_replaces_everything() -> None:
    words = arguments(Project.find(), "", 1, ("tests/style/test_files.py::test_x", "-x"))
    assert words == ("tests/style/test_files.py::test_x", "-x")


def test_one_worker_needs_no_xdist() -> None:
    words = arguments(Project.find(), "lock", 1, ("--lf",))
    assert words == ("tests", *SLOWEST, "-k", "lock", "--lf")


def test_the_kernels_that_all_tests_boot_are_built_before_they_begin() -> None:
    project = Project.find()
    named = set()
    for path in (project.root / "tests" / "boot").glob("*.py"):
        # TOOLSKVM_... asks for the others, one at a time.
        named |= set(re.findall(r'"config": "(\w+)"', path.read_text()))
    whole = configs(project, "", ("-x",))
    assert whole == ("default", *sorted(named))
    assert configs(project, "lock", ()) == configs(project, "", ("tests/style",)) == ("default",)


def test_a_group_stays_on_one_worker(tmp_path: Path) -> None:
    """Tests that share a copy of the checkout rely on it; a pytest unknown to xdist breaks it."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_group.py").write_text(
        "import os, time, pytest\n"
        "@pytest.mark.xdist_group('copy')\n"
        "@pytest.mark.parametrize('number', range(4))\n"
        "def test_worker(number, request):\n"
        "    time.sleep(0.1)\n"
        "    name = os.environ['PYTEST_XDIST_WORKER']\n"
        "    (request.path.parent / f'ran-{name}').touch()\n"
    )
    words = (sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", tmp_path)
    done = process.run(words, cwd=tmp_path, timeout_s=240, check=False)
    assert done.ok, done.output
    assert len(list(tmp_path.glob("ran-*"))) == 1


@pytest.mark.parametrize(
    ("word", "value"),
    [("axis", ["vcpus=2"]), ("resume", True), ("known_warnings", "/dev/null"), ("json", "-")],
)
def test_a_word_for_the_matrix_is_not_dropped_without_it(word: str, value: object) -> None:
    words = read(TestWords, {word: value})
    option = word.replace("_", "-")
    with Progress(live=False) as progress, pytest.raises(UsageError, match=f"--{option} without"):
        main(Project.find(), progress, words)
