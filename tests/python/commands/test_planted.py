# SPDX-License-Identifier: GPL-2.0-only
"""Planted faults: their list is checked, copies follow their origin, results are compared."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kvm.commands import planted
from kvm.commands.planted import Finding, Trial
from kvm.errors import UserError
from kvm.matrix import faults
from kvm.matrix.faults import Fault
from kvm.matrix.planted_copy import Mirror, PatchFailed
from kvm.project import Project
from kvm.results.model import CellResult
from kvm.verdict.vocabulary import Reason, Verdict
from support.checkout import git

RED, GREEN = "lab-vcpus1-mmio-leak", "lab-vcpus1-mmio-boot"
ENTRY = {
    "name": '"leaky"',
    "half": '"vmm"',
    "patch": '"leaky.patch"',
    "what": '"it leaks"',
    "cells": f'["{RED}", "{GREEN}"]',
    "expect": f'[{{ cell = "{RED}", reasons = ["check-failed"] }}]',
}
FAULT = Fault(
    "leaky", "vmm", Path("leaky.patch"), "it leaks", (RED, GREEN), {RED: (Reason.CHECK_FAILED,)}
)


def write(folder: Path, **changes: str) -> Path:
    """A list of one fault, with some of its values replaced ("" leaves the key out)."""
    (folder / "leaky.patch").write_text("")
    entry = {**ENTRY, **changes}
    path = folder / "faults.toml"
    path.write_text("[[fault]]\n" + "".join(f"{k} = {v}\n" for k, v in entry.items() if v))
    return path


def result(cell: str, verdict: Verdict, reason: Reason = Reason.OK) -> CellResult:
    return CellResult(cell, {}, verdict, reason, "words")


def results(*found: CellResult) -> dict[str, CellResult]:
    return {one.cell: one for one in found}


def test_a_list_is_read(tmp_path: Path) -> None:
    (fault,) = faults.load(write(tmp_path), {RED, GREEN})
    assert fault.patch == tmp_path / "leaky.patch"
    assert fault.cells == (RED, GREEN)
    assert fault.expect == {RED: (Reason.CHECK_FAILED,)}


@pytest.mark.parametrize(
    ("changes", "line", "words"),
    [
        ({"half": '"host"'}, 3, "half 'host'"),
        ({"what": ""}, 1, "what is missing"),
        ({"patch": '"none.patch"'}, 4, "none.patch does not exist"),
        ({"cells": '["nowhere"]'}, 6, "no cell 'nowhere'"),
        ({"cells": f'["{GREEN}"]'}, 7, "is not one of its cells"),
        ({"expect": "[]"}, 7, "expect is not a list"),
        (
            {"expect": f'[{{ cell = "{RED}", reasons = ["bad luck"] }}]'},
            7,
            "no fault shows as 'bad luck'",
        ),
        (
            {"expect": f'[{{ cell = "{RED}", reasons = ["infrastructure"] }}]'},
            7,
            "no fault shows as 'infrastructure'",
        ),
        ({"expect": f'[{{ cell = "{RED}" }}]'}, 7, "not just cell and reasons"),
        ({"why": '"so"'}, 8, "'why' is unknown"),
    ],
)
def test_a_mistake_has_its_line(
    tmp_path: Path, changes: dict[str, str], line: int, words: str
) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(UserError) as error:
        faults.load(path, {RED, GREEN})
    assert error.value.message.startswith(f"{path}:{line}: ")
    assert words in error.value.message


def test_a_name_stands_once(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text() * 2)
    with pytest.raises(UserError, match="stands here twice"):
        faults.load(path, {RED, GREEN})


def test_a_word_chooses_faults() -> None:
    assert faults.chosen((FAULT,), "eak") == (FAULT,)
    with pytest.raises(UserError, match="use leaky"):
        faults.chosen((FAULT,), "lock")


def test_the_repositorys_own_faults() -> None:
    """Eight for each half, each described in its patch; the cells are checked by the run."""
    path = Project.find().root / "tests" / "matrix" / "planted" / "faults.toml"
    cells = set(re.findall(r'"((?:lab|native)[\w-]*)"', path.read_text()))
    known = faults.load(path, cells)
    assert [fault.half for fault in known].count("kernel") == 8
    assert [fault.half for fault in known].count("vmm") == 8
    assert {fault.patch for fault in known} == set(path.parent.glob("*.patch"))
    for fault in known:
        text = fault.patch.read_text()
        assert len(text.partition("diff --git")[0].split()) > 10, f"{fault.name} is not described"


def test_the_vmms_faults_apply_to_the_sources_of_today() -> None:
    project = Project.find()
    folder = project.root / "tests" / "matrix" / "planted"
    for patch in sorted(folder.glob("vmm-*.patch")):
        git(project.root, "apply", "--check", str(patch))


@pytest.mark.parametrize(
    ("red", "green", "finding"),
    [
        ((Verdict.FAIL, Reason.CHECK_FAILED), (Verdict.PASS, Reason.OK), Finding.CAUGHT),
        ((Verdict.ERROR, Reason.CHECK_FAILED), (Verdict.PASS, Reason.OK), Finding.CAUGHT),
        ((Verdict.FLAKY, Reason.CHECK_FAILED), (Verdict.PASS, Reason.OK), Finding.MISSED),
        ((Verdict.FAIL, Reason.HANG), (Verdict.PASS, Reason.OK), Finding.MISSED),
        ((Verdict.PASS, Reason.OK), (Verdict.PASS, Reason.OK), Finding.MISSED),
        ((Verdict.ERROR, Reason.INFRASTRUCTURE), (Verdict.PASS, Reason.OK), Finding.MISSED),
        ((Verdict.FAIL, Reason.CHECK_FAILED), (Verdict.FAIL, Reason.HANG), Finding.MISSED),
        ((Verdict.ERROR, Reason.BUILD_FAILURE), (Verdict.PASS, Reason.OK), Finding.BROKEN),
    ],
)
def test_results_are_compared(
    red: tuple[Verdict, Reason], green: tuple[Verdict, Reason], finding: Finding
) -> None:
    found, seen = planted.judge(FAULT, results(result(RED, *red), result(GREEN, *green)))
    assert found is finding
    assert seen


def test_a_fault_without_results_is_not_caught() -> None:
    found, seen = planted.judge(FAULT, {})
    assert found is Finding.BROKEN
    assert seen == (f"{RED}: no result", f"{GREEN}: no result")


def test_what_was_expected_is_told() -> None:
    _, seen = planted.judge(
        FAULT, results(result(RED, Verdict.PASS), result(GREEN, Verdict.FAIL, Reason.HANG))
    )
    assert seen == (
        f"{RED}: PASS (red with check-failed)",
        f"{GREEN}: FAIL hang: words (it should pass)",
    )


def test_the_table_names_what_was_missed() -> None:
    trials = [Trial(FAULT, Finding.CAUGHT, ("x: y",), 3.0), Trial(FAULT, Finding.MISSED, ("a: b",))]
    assert planted.caught(trials) == "caught 1/2; missed: leaky"
    assert f"missed     0 s  leaky  {RED} check-failed" in planted.table(trials)


def test_results_are_read_from_json(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    assert planted.read_results(path) == {}
    one = result(RED, Verdict.FAIL, Reason.HANG)
    path.write_text(json.dumps({"results": [one.to_json()]}))
    assert planted.read_results(path) == {RED: one}


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    """The copy of a repository with a committed, uncommitted, untracked and ignored file."""
    origin = tmp_path / "origin"
    origin.mkdir()
    git(origin, "init", "-q")
    for name in ("kept", "edited"):
        (origin / name).write_text(f"{name}\n")
    (origin / ".gitignore").write_text("/ignored\n")
    git(origin, "add", "--all")
    git(origin, "commit", "-qm", "base")
    (origin / "edited").write_text("now\n")
    for name in ("new", "ignored"):
        (origin / name).write_text(f"{name}\n")
    return Mirror(origin, tmp_path / "copy")


def files(folder: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in folder.iterdir() if p.is_file()}


def test_a_copy_holds_uncommitted_work(mirror: Mirror) -> None:
    before = sorted((mirror.origin / ".git" / "objects").rglob("*"))
    mirror.sync()
    expected = {"kept": "kept\n", "edited": "now\n", "new": "new\n", ".gitignore": "/ignored\n"}
    assert files(mirror.path) == expected
    assert sorted((mirror.origin / ".git" / "objects").rglob("*")) == before


def test_a_copy_follows_its_origin(mirror: Mirror) -> None:
    mirror.sync()
    untouched = (mirror.path / "kept").stat().st_mtime_ns
    (mirror.path / "ignored").write_text("built\n")
    (mirror.path / "edited").write_text("broken\n")
    (mirror.path / "stray").write_text("stray\n")
    (mirror.origin / "new").unlink()
    mirror.sync()
    found = files(mirror.path)
    assert found["edited"] == "now\n"
    assert found["ignored"] == "built\n"
    assert "new" not in found and "stray" not in found
    assert (mirror.path / "kept").stat().st_mtime_ns == untouched


def test_a_patch_is_applied_and_undone(mirror: Mirror, tmp_path: Path) -> None:
    mirror.sync()
    patch = tmp_path / "a.patch"
    patch.write_text("Words.\n\n--- a/edited\n+++ b/edited\n@@ -1 +1 @@\n-now\n+wrong\n")
    mirror.apply(patch)
    assert (mirror.path / "edited").read_text() == "wrong\n"
    with pytest.raises(PatchFailed, match="edited"):
        mirror.apply(patch)
    mirror.undo()
    assert (mirror.path / "edited").read_text() == "now\n"
    assert (mirror.origin / "edited").read_text() == "now\n"
