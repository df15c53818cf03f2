# SPDX-License-Identifier: GPL-2.0-only
"""Which options are for one payload, and which for a suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kvm.commands import payload as command
from kvm.commands.words import SuiteWords
from kvm.errors import UserError
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run.payload.options import PayloadOptions
from kvm.spec.fields import read


def _main(file: Path, **typed: Any) -> int:
    typed |= {"file": str(file), "host": "lab"}
    options, words = read(PayloadOptions, typed), read(SuiteWords, typed)
    with Progress(live=False) as progress:
        return command.main(Project.find(), progress, options, words)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "x.flat").write_bytes(b"\xf4")
    (tmp_path / "unittests.cfg").write_text("[a]\nfile = x.flat\nsmp = 4\n[b]\nfile = x.flat\n")
    return tmp_path


def test_a_suite_is_listed_with_what_is_skipped(
    suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(suite, suite=True, list=True, cpus=2) == 0
    a, b, count = capsys.readouterr().out.splitlines()
    assert a.split(None, 4) == [
        "a",
        "4",
        "vCPU",
        "256M",
        "90s  SKIP (needs 4 vCPUs, --cpus allows 2)",
    ]
    assert b.split() == ["b", "1", "vCPU", "256M", "90s", "x.flat"]
    assert count == "2 tests"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"k": "a"}, "-k without --suite"),
        ({"g": "a"}, "-g without --suite"),
        ({"list": True}, "--list without --suite"),
        ({"expected": "a"}, "--expected without --suite"),
        ({"output": ["a.xml"]}, "--output without --suite"),
        ({"suite": True, "append": ["x"]}, "--append with --suite"),
        ({"suite": True, "initrd": "x"}, "--initrd with --suite"),
        ({"suite": True, "cpus": 0}, "--cpus 0"),
        ({"suite": True, "timeout": 0.0}, "--timeout 0"),
        ({"suite": True, "output": ["ktap:-"], "json": "-"}, "both want stdout"),
        ({}, "is a folder"),
    ],
)
def test_words_that_do_not_go_together_are_named(
    suite: Path, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError) as refused:
        _main(suite, **given)
    assert says in refused.value.message
