# SPDX-License-Identifier: GPL-2.0-only
"""Values in the store can be read again, in order, by any process."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.results.model import CellResult, MatrixRun
from kvm.results.store import Store
from kvm.verdict.ktap import Case, Status
from kvm.verdict.vocabulary import Reason, Verdict
from support.matrix_run import HOSTILE, STARTED, passed, sample


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "build" / "results.sqlite3")


def _failed(cell: str) -> CellResult:
    return passed(cell, verdict=Verdict.FAIL, reason=Reason.HANG)


def _run(store: Store, *results: CellResult, subset: str = "full", ended: bool = True) -> int:
    number = store.begin(
        MatrixRun(
            number=0,
            started=STARTED,
            planned=tuple(result.cell for result in results),
            subset=subset,
        )
    )
    for result in results:
        store.add(number, result)
    if ended:
        store.end(number, STARTED + 60)
    return number


def test_seventy_hostile_cells_come_back_equal(store: Store, tmp_path: Path) -> None:
    results = sample(tmp_path, number=1)
    run = _run(store, *results)
    assert list(store.cells(run).values()) == results


def test_cells_are_in_planned_order_whenever_they_ended(store: Store) -> None:
    run = store.begin(MatrixRun(number=0, started=STARTED, planned=("c", "a", "b")))
    for cell in ("a", "b", "c"):
        store.add(run, passed(cell))
    assert list(store.cells(run)) == ["c", "a", "b"]


def test_a_run_keeps_its_fields(store: Store) -> None:
    number = store.begin(
        MatrixRun(
            number=0,
            started=5.5,
            planned=("a", "b"),
            subset="quick",
            command="./invoke test --matrix",
            commit="1234+",
            vmm_id="vmm",
            kernels={"default": "k1", "debug": "k2"},
        )
    )
    run = store.run(number)
    assert run is not None
    assert (run.number, run.started, run.ended, run.planned) == (1, 5.5, None, ("a", "b"))
    assert (run.subset, run.command, run.commit) == ("quick", "./invoke test --matrix", "1234+")
    assert (run.vmm_id, run.kernels) == ("vmm", {"default": "k1", "debug": "k2"})
    store.end(number, 9.0, interrupted=True)
    ended = store.run(number)
    assert ended == dataclasses.replace(run, ended=9.0, interrupted=True)
    assert store.run(2) is None
    assert store.runs() == (ended,)


def test_a_cell_that_ran_again_replaces_its_result(store: Store) -> None:
    run = _run(store, _failed("a"))
    store.add(run, passed("a"))
    assert [result.verdict for result in store.cells(run).values()] == [Verdict.PASS]
    assert len(store.history("a")) == 1


def test_a_cell_of_no_run_is_refused(store: Store) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        store.add(7, passed("a"))


def test_checks_nested_without_end_are_cut(store: Store) -> None:
    case = Case("leaf", Status.FAIL)
    for level in range(5000):
        case = Case(f"level {level}", Status.FAIL, children=(case,))
    run = _run(store, passed("a", checks=(case,)))
    kept = store.cells(run)["a"].checks[0]
    depth = 1
    while kept.children:
        kept, depth = kept.children[0], depth + 1
    assert (depth, kept.note) == (16, "(subtests left out)")


def test_history_is_newest_first_and_limited(store: Store) -> None:
    _run(store, passed("a", kernel_id="k1", exits={"total": 10}))
    _run(store, passed("b"))
    _run(store, _failed("a"))
    newest, oldest = store.history("a")
    assert (newest.run, newest.verdict, newest.reason) == (3, Verdict.FAIL, Reason.HANG)
    assert (oldest.run, oldest.kernel_id, oldest.exits_total) == (1, "k1", 10)
    assert len(store.history("a", 1)) == 1
    assert [past.run for past in store.history("a", up_to=2)] == [1]


def test_earlier_results_are_each_cells_own(store: Store) -> None:
    _run(store, passed("a"), passed("b"))
    _run(store, _failed("a"))
    skipped = passed("a", verdict=Verdict.SKIP, reason=Reason.NONE)
    _run(store, skipped)
    last = _run(store, passed("a"))
    assert {cell: then.run for cell, then in store.before(last).items()} == {"a": 2, "b": 1}
    assert {cell: then.run for cell, then in store.last_good(last).items()} == {"a": 1, "b": 1}


def test_gone_cells_are_those_of_the_last_run_of_the_same_subset(store: Store) -> None:
    _run(store, passed("a"), passed("b"))
    _run(store, passed("c"), subset="quick")
    run = store.run(_run(store, passed("a")))
    assert run is not None
    assert store.gone(run) == ("b",)


def test_a_whole_run_has_nothing_to_resume(store: Store) -> None:
    assert store.last_unfinished() is None
    _run(store, passed("a"), ended=False)
    _run(store, passed("a"))
    assert store.last_unfinished() is None


def test_the_newest_run_is_resumed_when_it_was_killed_interrupted_or_lacks_cells(
    store: Store,
) -> None:
    killed = _run(store, passed("a"), ended=False)
    found = store.last_unfinished()
    assert found is not None and found.number == killed
    store.end(killed, 9.0, interrupted=True)
    assert store.last_unfinished() is not None
    store.end(killed, 9.0)
    assert store.last_unfinished() is None
    lacking = store.begin(MatrixRun(number=0, started=1.0, planned=("a", "b")))
    store.add(lacking, passed("a"))
    store.end(lacking, 9.0)
    assert store.last_unfinished() is not None
    assert store.last_unfinished(["a"]) is None  # the newest run with this plan is complete
    found = store.last_unfinished(["b", "a"])
    assert found is not None and found.number == lacking


def test_pruning_forgets_the_oldest_and_their_cells_but_reuses_no_number(store: Store) -> None:
    for _ in range(5):
        _run(store, passed("a"))
    store.prune(keep_runs=2)
    assert [run.number for run in store.runs()] == [5, 4]
    assert [past.run for past in store.history("a")] == [5, 4]
    store.prune(keep_runs=0)
    assert _run(store, passed("a")) == 6


def test_a_result_in_unknown_words_is_named_and_passed_over_in_histories(
    store: Store, tmp_path: Path
) -> None:
    run = _run(store, passed("a"))
    with sqlite3.connect(tmp_path / "build" / "results.sqlite3") as db:
        db.execute("UPDATE cells SET verdict = 'ODD', record = replace(record, 'PASS', 'ODD')")
    with pytest.raises(UserError, match=f"cannot read cell a of run {run}"):
        store.cells(run)
    assert store.history("a") == ()
    assert store.before(run + 1) == {}


def test_two_writers_wait_for_each_other(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite3"
    failures: list[BaseException] = []

    def write() -> None:
        try:
            with Store.open(path) as own:
                _run(own, *(passed(f"cell-{number}") for number in range(20)))
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert not failures
    with Store.open(path) as store:
        assert [len(store.cells(run.number)) for run in store.runs()] == [20] * 4


def test_a_writer_that_never_ends_is_told(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite3"
    with Store.open(path, busy_s=0.05) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UserError, match="in use"):
            store.begin(MatrixRun(number=0, started=1.0, planned=()))
        other.close()
        assert store.begin(MatrixRun(number=0, started=1.0, planned=())) == 1


def test_a_full_disk_is_named_and_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite3"
    with Store.open(path) as store:
        run = _run(store, passed("a"))
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(UserError) as full:
            for number in range(100):
                store.add(run, passed(f"b{number}", summary="x" * 8000))
        assert str(path) in full.value.message
        assert "No space left on device" in full.value.message
        assert "a" in store.cells(run)


def test_a_read_only_database_can_be_read_and_says_why_it_cannot_be_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "results.sqlite3"
    with Store.open(path) as store:
        run = _run(store, passed("a"))
        store._connection.execute("PRAGMA query_only = ON")
        assert "a" in store.cells(run)
        with pytest.raises(UserError, match="Read-only file system"):
            store.add(run, passed("b"))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "build").write_text("in the way")
    with pytest.raises(UserError) as refused:
        Store.open(tmp_path / "build" / "results.sqlite3")
    assert str(tmp_path / "build" / "results.sqlite3") in refused.value.message
    assert "File exists" in refused.value.message or "Not a directory" in refused.value.message


def test_hostile_text_is_data(store: Store) -> None:
    cell = "'; DROP TABLE cells; --"
    run = _run(store, passed(cell, summary=HOSTILE))
    assert store.cells(run)[cell].summary == HOSTILE
