# SPDX-License-Identifier: GPL-2.0-only
"""The files that ``bench edit`` edits are left as they were, and its table tells both ratios."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from kvm.bench.edit import EditBench, Row
from kvm.bench.edited import SourceFile, new_numbers, restored
from kvm.errors import UserError

_TEXT = "int one;\nint two;\n"


@pytest.fixture
def file(tmp_path: Path) -> SourceFile:
    path = tmp_path / "main.c"
    path.write_text(_TEXT)
    return SourceFile(path, "int bench_{number};")


def test_each_edit_replaces_the_line_of_the_one_before(file: SourceFile) -> None:
    file.edit(1)
    file.edit(2)
    assert file.path.read_text().startswith(_TEXT + "int bench_2; ")
    assert len(file.path.read_text().splitlines()) == 3


def test_a_later_bench_makes_other_edits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache still has what an earlier one built."""
    made: list[int] = []
    for now in (1.8e9, 1.8e9 + 60):
        monkeypatch.setattr("time.time", lambda now=now: now)
        made += itertools.islice(new_numbers(), 30)
    assert len(set(made)) == len(made)
    assert max(made) < 1 << 31


def test_a_file_is_restored_even_if_the_bench_fails(file: SourceFile) -> None:
    with pytest.raises(KeyboardInterrupt), restored([file]):
        file.edit(1)
        raise KeyboardInterrupt
    assert file.path.read_text() == _TEXT


def test_what_was_edited_meanwhile_is_kept(file: SourceFile) -> None:
    with restored([file]):
        file.edit(1)
        file.path.write_text("int zero;\n" + file.path.read_text() + "int three;\n")
    assert file.path.read_text() == f"int zero;\n{_TEXT}int three;\n"


def test_the_line_of_a_killed_bench_is_taken_out_first(file: SourceFile) -> None:
    file.edit(1)
    with restored([file]):
        assert file.path.read_text() == _TEXT


def test_a_file_that_is_not_edited_is_not_written(file: SourceFile) -> None:
    before = file.path.stat().st_mtime_ns
    with restored([file]):
        pass
    assert file.path.stat().st_mtime_ns == before


def test_a_tree_without_the_file_is_refused(tmp_path: Path) -> None:
    missing = SourceFile(tmp_path / "svm.c", "")
    with pytest.raises(UserError, match=r"svm\.c is missing"), restored([missing]):
        pass


def test_ratios_are_to_the_peer_and_to_a_run_without_an_edit() -> None:
    found = EditBench(
        (Row("nothing", (2.0, 4.0, 3.0), (6.0, 6.0, 6.0)), Row("board.cpp", (6.0, 6.0, 9.0), ()))
    )
    record = found.to_json()
    assert record["ratios"] == {"nothing": 0.5}
    assert record["to_nothing"] == {"board.cpp": 2.0}
    assert record["median_s"]["board.cpp"] == {"tools-kvm": 6.0}
    assert [line.split()[0] for line in found.table().splitlines()[1:]] == ["nothing", "board.cpp"]


def test_without_a_peer_there_are_no_ratios_to_one() -> None:
    record = EditBench((Row("nothing", (2.0,), ()),)).to_json()
    assert (record["peer"], record["ratios"]) == (None, {})
