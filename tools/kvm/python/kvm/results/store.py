# SPDX-License-Identifier: GPL-2.0-only
"""All matrix runs and their cells, in one SQLite file (``build/results.sqlite3``).

Each call is one transaction, on disk when it returns: a killed run loses no cell that was added.
Several processes may write at once; they wait for each other. It uses a rollback journal rather
than WAL, so that the file is complete and can be copied, uploaded by CI, and read where nothing can
be written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from kvm.errors import UserError
from kvm.results.history import Earlier, Past, exits_total
from kvm.results.model import CellResult, MatrixRun
from kvm.results.schema import migrate
from kvm.verdict.ktap import Case
from kvm.verdict.vocabulary import Reason, Verdict

BUSY_S = 30.0
_MAX_DEPTH = 16  # of nested checks; a guest's indentation decides their depth
_RUN = (
    "number, started, ended, interrupted, subset, shard, command, commit_id, vmm_id, kernels,"
    " planned"
)
_PAST = "run, started, verdict, reason, seconds, exits_total, kernel_id, vmm_id"


class Store:
    """Open it with ``open``; it may be shared between threads."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, *, busy_s: float = BUSY_S) -> Store:
        """Open or create the file. Raises ``UserError`` if it can't be used."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():  # SQLite itself does not say why it can't create a file
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))
        except OSError as error:
            raise _unusable(path, error.strerror or str(error)) from error
        with _errors(path):
            connection = sqlite3.connect(
                path, timeout=busy_s, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute("PRAGMA synchronous = FULL")
                migrate(connection, path)
            except BaseException:
                connection.close()
                raise
        return cls(connection, path)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    # Writing

    def begin(self, run: MatrixRun) -> int:
        """Enter a new run and return its number; ``run`` has none yet."""
        values = (
            *(run.started, run.subset, run.shard, run.command, run.commit, run.vmm_id),
            *(json.dumps(dict(run.kernels)), json.dumps(list(run.planned))),
        )
        with self._writing() as db:
            row = db.execute(
                "INSERT INTO runs (started, subset, shard, command, commit_id, vmm_id, kernels,"
                " planned) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            return int(row.lastrowid or 0)

    def replan(self, run: int, planned: Sequence[str]) -> None:
        """Replace the list of cells that the run will try."""
        with self._writing() as db:
            db.execute(
                "UPDATE runs SET planned = ? WHERE number = ?", (json.dumps(list(planned)), run)
            )

    def add(self, run: int, result: CellResult) -> None:
        """Keep a cell's result; a second one of the same cell replaces the first."""
        result = dataclasses.replace(result, checks=_shallow(result.checks))
        values = (
            *(run, result.cell, result.started, result.verdict.value, result.reason.value),
            *(result.seconds, exits_total(result), result.kernel_id, result.vmm_id),
            json.dumps(result.to_json()),
        )
        with self._writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO cells (run, cell, started, verdict, reason, seconds,"
                " exits_total, kernel_id, vmm_id, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )

    def end(self, run: int, ended: float, interrupted: bool = False) -> None:
        """Note the run's end. ``interrupted``: not all planned cells were tried."""
        with self._writing() as db:
            db.execute(
                "UPDATE runs SET ended = ?, interrupted = ? WHERE number = ?",
                (ended, interrupted, run),
            )

    def prune(self, keep_runs: int = 200) -> None:
        """Delete all but the newest runs."""
        with self._writing() as db:
            db.execute(
                "DELETE FROM runs WHERE number NOT IN"
                " (SELECT number FROM runs ORDER BY number DESC LIMIT ?)",
                (keep_runs,),
            )

    # Reading

    def run(self, number: int) -> MatrixRun | None:
        rows = self._read(f"SELECT {_RUN} FROM runs WHERE number = ?", number)
        return _run(rows[0]) if rows else None

    def runs(self, limit: int = 50) -> tuple[MatrixRun, ...]:
        """Runs, the newest first."""
        rows = self._read(f"SELECT {_RUN} FROM runs ORDER BY number DESC LIMIT ?", limit)
        return tuple(_run(row) for row in rows)

    def cells(self, run: int) -> dict[str, CellResult]:
        """Results by cell id, in the order in which the run planned them."""
        rows = self._read("SELECT cell, record FROM cells WHERE run = ? ORDER BY started", run)
        found = {cell: _result(record) for cell, record in rows}
        unread = [cell for cell, result in found.items() if result is None]
        if unread:
            raise UserError(
                f"{self._path}: this checkout cannot read cell {unread[0]} of run {run}",
                "a checkout with other verdicts or reasons wrote it; use that one",
            )
        whole = self.run(run)
        order = {cell: at for at, cell in enumerate(whole.planned if whole else ())}
        known = [(cell, result) for cell, result in found.items() if result is not None]
        return dict(sorted(known, key=lambda pair: order.get(pair[0], len(order))))

    def last_unfinished(self, planned: Sequence[str] | None = None) -> MatrixRun | None:
        """The newest run (with just these cells, if given) if some of its cells are left to do.

        A run that another process is working on looks the same: the caller must prevent two at once
        where that matters.
        """
        wanted = None if planned is None else set(planned)
        newest = next(
            (run for run in self.runs() if wanted is None or set(run.planned) == wanted), None
        )
        if newest is None:
            return None
        done = {row[0] for row in self._read("SELECT cell FROM cells WHERE run = ?", newest.number)}
        is_whole = newest.ended is not None and not newest.interrupted
        return None if is_whole and done.issuperset(newest.planned) else newest

    def history(self, cell: str, limit: int = 20, up_to: int | None = None) -> tuple[Past, ...]:
        """A cell's results, the newest first; ``up_to`` is the number of the last run to show."""
        rows = self._read(
            f"SELECT {_PAST} FROM cells WHERE cell = ? AND run <= coalesce(?, run)"
            " ORDER BY run DESC LIMIT ?",
            *(cell, up_to, limit),
        )
        return tuple(past for row in rows if (past := _past(row)) is not None)

    def before(self, run: int) -> dict[str, Earlier]:
        """Each cell's last result before this run; a SKIP is no result."""
        return self._earlier(run, "verdict <> 'SKIP'")

    def last_good(self, run: int) -> dict[str, Earlier]:
        """Each cell's last PASS before this run."""
        return self._earlier(run, "verdict = 'PASS'")

    def gone(self, run: MatrixRun) -> tuple[str, ...]:
        """Cells that the last run of the same subset planned, but this one does not."""
        rows = self._read(
            "SELECT planned FROM runs WHERE number < ? AND subset = ? AND subset <> ''"
            " AND shard = '' AND ? = '' ORDER BY number DESC LIMIT 1",
            *(run.number, run.subset, run.shard),
        )
        return tuple(cell for row in rows for cell in json.loads(row[0]) if cell not in run.planned)

    def _earlier(self, run: int, which: str) -> dict[str, Earlier]:
        # The inner query uses only the index, and reads no record.
        rows = self._read(
            "SELECT cell, run, record FROM cells JOIN (SELECT cell, max(run) AS run FROM cells"
            f" WHERE run < ? AND {which} GROUP BY cell) USING (cell, run)",
            run,
        )
        found = ((cell, number, _result(record)) for cell, number, record in rows)
        return {cell: Earlier(number, result) for cell, number, result in found if result}

    def _read(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock, _errors(self._path):
            return self._connection.execute(sql, values).fetchall()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """IMMEDIATE: wait for other writers at the start, where waiting can't deadlock."""
        with self._lock, _errors(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def _run(row: tuple[Any, ...]) -> MatrixRun:
    number, started, ended, interrupted, subset, shard, command, *ids, planned = row
    commit, vmm_id, kernels = ids
    return MatrixRun(
        number=number,
        started=started,
        planned=tuple(json.loads(planned)),
        ended=ended,
        interrupted=bool(interrupted),
        subset=subset,
        shard=shard,
        command=command,
        commit=commit,
        vmm_id=vmm_id,
        kernels=json.loads(kernels),
    )


def _past(row: tuple[Any, ...]) -> Past | None:
    """A past result; None if its words are unknown to this checkout."""
    run, started, verdict, reason, *rest = row
    with contextlib.suppress(ValueError):
        return Past(run, started, Verdict(verdict), Reason(reason), *rest)
    return None


def _result(record: str) -> CellResult | None:
    with contextlib.suppress(KeyError, TypeError, ValueError):
        return CellResult.from_json(json.loads(record))
    return None


def _shallow(cases: Sequence[Case], depth: int = 1) -> tuple[Case, ...]:
    """The cases without what is nested too deeply for JSON, which a guest can print."""
    if depth == _MAX_DEPTH:
        return tuple(
            dataclasses.replace(case, children=(), note=f"{case.note} (subtests left out)".strip())
            if case.children
            else case
            for case in cases
        )
    return tuple(
        dataclasses.replace(case, children=_shallow(case.children, depth + 1)) for case in cases
    )


# The low byte of an SQLite error code → the errno of the system call behind it.
_ERRNO = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
}


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise UserError(
                f"{path} is damaged or not a database: {error}",
                "move it away; the next run makes a new one",
            ) from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise UserError(
                f"{path} is in use: another process did not let go of it",
                "see which one with `fuser`, end it, and try again",
            ) from error
        if code in _ERRNO:
            raise _unusable(path, f"{os.strerror(_ERRNO[code])} ({error})") from error
        raise


def _unusable(path: Path, words: str) -> UserError:
    return UserError(
        f"{path} cannot be used: {words}", "make room, or make the file and its folder writable"
    )
