# SPDX-License-Identifier: GPL-2.0-only
"""Written lines are read again, and half a line is ignored."""

from __future__ import annotations

from pathlib import Path

from kvm.bisect.journal import Journal
from kvm.bisect.model import Run
from kvm.verdict.vocabulary import Reason, Verdict

RUN = Run(Verdict.FAIL, Reason.HANG, "hangs", "hang in foo", 1.5, "build/x")


def filled(path: Path) -> Journal:
    journal = Journal.open(path)
    journal.add_run("a", RUN)
    journal.add_run("a", RUN)
    journal.add_build("b", {"kernel": "/k", "vmm": "/v"})
    journal.add_broken("c", "does not compile")
    journal.add_step("d", 2.0)
    return journal


def test_all_kinds_come_back(tmp_path: Path) -> None:
    before = filled(tmp_path / "j" / "journal.jsonl")
    after = Journal.open(before.path)
    assert after == before
    assert after.runs == {"a": [RUN, RUN]}


def test_a_line_cut_short_is_dropped_and_written_over(tmp_path: Path) -> None:
    before = filled(tmp_path / "journal.jsonl")
    with before.path.open("ab") as file:
        file.write(b'{"run": "a", "verdict": "FA')
    again = Journal.open(before.path)
    assert again.runs == before.runs
    again.add_run("e", RUN)
    assert Journal.open(before.path).runs == {"a": [RUN, RUN], "e": [RUN]}


def test_a_first_line_cut_short_leaves_an_empty_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"run"')
    Journal.open(path).add_run("a", RUN)
    assert Journal.open(path).runs == {"a": [RUN]}
