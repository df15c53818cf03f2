# SPDX-License-Identifier: GPL-2.0-only
"""Which run is rendered, to which file, and the message if it cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kvm.commands.report import render
from kvm.errors import UserError
from kvm.project import Project
from kvm.results.model import MatrixRun
from kvm.results.store import Store
from support.matrix_run import STARTED


def test_each_form_asked_for_is_written_and_named(project: Project, tmp_path: Path) -> None:
    names = {
        "html": "new/folder/r.html",
        "junit": "r.xml",
        "ktap": "r.ktap",
        "json": "r.json",
        "markdown": "r.md",
    }
    wanted = {form: str(tmp_path / name) for form, name in names.items()}
    rendered = render(project, **wanted)  # type: ignore[arg-type]
    assert rendered == [Path(path) for path in wanted.values()]
    starts = {form: Path(path).read_text("utf-8")[:9] for form, path in wanted.items()}
    assert starts == {
        "html": "<!DOCTYPE",
        "junit": "<?xml ver",
        "ktap": "KTAP vers",
        "json": '{\n  "sche',
        "markdown": "## Matrix",
    }


def test_the_page_is_the_default(tmp_path: Path) -> None:
    with Store.open(tmp_path / "build" / "results.sqlite3") as store:
        store.begin(MatrixRun(number=0, started=STARTED, planned=("a",)))
    assert render(Project(tmp_path)) == [tmp_path / "build" / "report.html"]
    assert "Matrix run 1" in (tmp_path / "build" / "report.html").read_text("utf-8")


def test_stdout_is_a_dash(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert render(project, json="-", run=1) == ["-"]
    assert json.loads(capsys.readouterr().out)["run"] == 1


def test_two_forms_need_two_places(project: Project) -> None:
    with pytest.raises(UserError, match="two reports"):
        render(project, json="-", ktap="-")


def test_no_database_is_told_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        render(Project(tmp_path))
    assert "results.sqlite3" in refused.value.message
    assert "test --matrix" in refused.value.hint
    assert not (tmp_path / "build").exists()


def test_an_unknown_run_is_told_with_the_newest(project: Project) -> None:
    with pytest.raises(UserError) as refused:
        render(project, run=77, json="-")
    assert "no run 77" in refused.value.message
    assert "newest is 2" in refused.value.hint


def test_an_empty_database_is_told(tmp_path: Path) -> None:
    Store.open(tmp_path / "build" / "results.sqlite3").close()
    with pytest.raises(UserError, match="holds no run"):
        render(Project(tmp_path))


def test_a_place_that_cannot_be_written_is_named(project: Project, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as refused:
        render(project, html=str(tmp_path / "file" / "r.html"))
    assert str(tmp_path / "file" / "r.html") in refused.value.message
