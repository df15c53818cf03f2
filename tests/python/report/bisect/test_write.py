# SPDX-License-Identifier: GPL-2.0-only
"""The forms and the files to which they are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kvm.bisect.model import Report
from kvm.errors import UserError
from kvm.report.bisect.write import files, write


def test_each_form_is_known_by_its_suffix(interaction: Report, tmp_path: Path) -> None:
    files = tuple(str(tmp_path / "new" / f"r.{end}") for end in ("html", "md", "json", "txt"))
    assert write(interaction, files) == files
    starts = [Path(file).read_text("utf-8")[:9] for file in files]
    assert starts == ["<!DOCTYPE", "## First ", '{\n  "sche', "First bad"]


def test_stdout_and_two_files_of_one_form_are_possible(
    interaction: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = str(tmp_path / "a.md"), str(tmp_path / "b.md")
    assert write(interaction, [first, "json:-", second]) == (first, "-", second)
    assert json.loads(capsys.readouterr().out)["status"] == "found"
    assert Path(first).read_text() == Path(second).read_text()


def test_a_wrong_target_is_told_before_anything_is_written(
    interaction: Report, tmp_path: Path
) -> None:
    targets = [str(tmp_path / "a.md"), "b.pdf"]
    with pytest.raises(UserError, match=r"b\.pdf"):
        files(targets)
    with pytest.raises(UserError, match=r"b\.pdf"):
        write(interaction, targets)
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="two reports"):
        files(["json:-", "txt:-"])


def test_any_report_has_every_form(any_report: Report, tmp_path: Path) -> None:
    write(any_report, [str(tmp_path / f"r.{end}") for end in ("html", "md", "json", "txt")])
    assert all(path.stat().st_size > 200 for path in tmp_path.iterdir())
