# SPDX-License-Identifier: GPL-2.0-only
"""Databases of other versions, and files that are no databases."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.results.model import MatrixRun
from kvm.results.schema import MIGRATIONS, migrate
from kvm.results.store import Store
from support.matrix_run import passed


def _version_1(path: Path) -> None:
    """Make a database as the first version left it, with one run and one cell."""
    db = sqlite3.connect(path, isolation_level=None)
    migrate(db, path, MIGRATIONS[:1])
    db.execute(
        "INSERT INTO runs (started, ended, subset, command, commit_id, vmm_id, kernels, planned)"
        """ VALUES (5, 9, 'full', '', '', '', '{}', '["lab-vcpus1-mmio-boot"]')"""
    )
    record = (
        '{"cell": "lab-vcpus1-mmio-boot", "axes": {}, "verdict": "PASS", "reason": "ok",'
        ' "summary": "", "signature": "", "attempts": [], "checks": [], "evidence": [],'
        ' "timings_s": {}, "exits": {"total": 213}, "run_dir": "", "kernel": "",'
        ' "kernel_id": "", "vmm_id": "", "worker": "", "started": 5, "seconds": 2, "repeat": ""}'
    )
    db.execute(
        "INSERT INTO cells VALUES (1, 'lab-vcpus1-mmio-boot', 5, 'PASS', 'ok', 2, 'k', 'v', ?)",
        (record,),
    )
    db.close()


def test_a_database_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite3"
    _version_1(path)
    with Store.open(path) as store:
        (past,) = store.history("lab-vcpus1-mmio-boot")
        assert past.exits_total == 213
        store.add(1, passed("lab-vcpus2-mmio-boot"))
        assert list(store.cells(1)) == ["lab-vcpus1-mmio-boot", "lab-vcpus2-mmio-boot"]
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_a_step_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite3"
    _version_1(path)
    db = sqlite3.connect(path, isolation_level=None)
    steps = (*MIGRATIONS, ("CREATE TABLE more (x)", "NO SQL"))
    with pytest.raises(sqlite3.Error):
        migrate(db, path, steps)
    assert db.execute("PRAGMA user_version").fetchone() == (1,)
    assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'more'").fetchone() == (0,)
    db.close()


def test_a_newer_database_is_refused_by_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite3"
    Store.open(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError) as refused:
        Store.open(path)
    assert str(path) in refused.value.message
    assert "version 99" in refused.value.message
    assert f"up to {len(MIGRATIONS)}" in refused.value.message
    assert "update" in refused.value.hint


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite3"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE bookmarks (url)")
    with pytest.raises(UserError, match="not one of matrix results"):
        Store.open(path)


@pytest.mark.parametrize(
    "content", [b"hello, world\n" * 100, b"SQLite format 3\0" + b"\xff" * 4000]
)
def test_what_is_no_database_is_refused_with_a_mend(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "results.sqlite3"
    path.write_bytes(content)
    with pytest.raises(UserError) as refused:
        Store.open(path)
    assert str(path) in refused.value.message
    assert "move it away" in refused.value.hint
    assert path.read_bytes() == content


def test_a_damaged_page_is_told_when_it_is_met(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite3"
    with Store.open(path) as store:
        run = store.begin(MatrixRun(number=0, started=1.0, planned=()))
        for number in range(200):
            store.add(run, passed(f"cell-{number}"))
    whole = bytearray(path.read_bytes())
    whole[8192:] = b"\xa5" * (len(whole) - 8192)
    path.write_bytes(whole)
    with pytest.raises(UserError, match="damaged"), Store.open(path) as store:
        store.cells(run)
