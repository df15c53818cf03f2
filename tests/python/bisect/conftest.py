# SPDX-License-Identifier: GPL-2.0-only
"""A history to search, and the command that searches it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from kvm.bisect.request import Request
from kvm.commands import bisect as command
from kvm.commands.words import BisectWords
from kvm.output.progress import Progress
from kvm.spec.fields import read
from support.history import Bisect, History


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    monkeypatch.delenv("KERNEL_TREE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return History.make(tmp_path / "checkout")


@pytest.fixture
def bisect_words() -> dict[str, Any]:
    """The options of every test."""
    return {"deadline": 60.0}


@pytest.fixture
def bisect(history: History, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bisect:
    """``./invoke bisect`` with these options and ``sh -c SCRIPT``; returns the report as JSON.

    ``notes`` has what was printed meanwhile.
    """

    def run(script: str, **words: Any) -> dict[str, Any]:
        answer = tmp_path / "report.json"
        answer.unlink(missing_ok=True)
        said = io.StringIO()
        typed = {"deadline": 60.0, "json": str(answer), **words}
        argv = ("sh", "-c", script) if script else ()
        asked = read(Request, typed, argv=argv), read(BisectWords, typed)
        code = command.main(history.project, Progress(said, live=False), *asked)
        report: dict[str, Any] = json.loads(answer.read_text())
        report["notes"] = said.getvalue()
        report["code"] = code
        return report

    return run
