# SPDX-License-Identifier: GPL-2.0-only
"""The schema of the results database, as steps that lead to it. Used by ``store.py``.

``PRAGMA user_version`` counts the steps that a file has taken. A released step is never edited: a
change is a new step at the end. There are columns for what is searched; everything else is in the
cell's ``record``, as JSON.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from kvm.errors import UserError

Step = tuple[str, ...]  # SQL statements

MIGRATIONS: tuple[Step, ...] = (
    (
        # AUTOINCREMENT: the number of a pruned run is never given again.
        """CREATE TABLE runs (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            started REAL NOT NULL,
            ended REAL,
            interrupted INTEGER NOT NULL DEFAULT 0,
            subset TEXT NOT NULL,
            command TEXT NOT NULL,
            commit_id TEXT NOT NULL,
            vmm_id TEXT NOT NULL,
            kernels TEXT NOT NULL,
            planned TEXT NOT NULL
        )""",
        """CREATE TABLE cells (
            run INTEGER NOT NULL REFERENCES runs(number) ON DELETE CASCADE,
            cell TEXT NOT NULL,
            started REAL NOT NULL,
            verdict TEXT NOT NULL,
            reason TEXT NOT NULL,
            seconds REAL NOT NULL,
            kernel_id TEXT NOT NULL,
            vmm_id TEXT NOT NULL,
            record TEXT NOT NULL,
            PRIMARY KEY (run, cell)
        )""",
    ),
    (
        "ALTER TABLE cells ADD COLUMN exits_total INTEGER NOT NULL DEFAULT 0",
        "UPDATE cells SET exits_total = coalesce(json_extract(record, '$.exits.total'), 0)",
        "CREATE INDEX cells_by_cell ON cells (cell, run, verdict)",
    ),
    ("ALTER TABLE runs ADD COLUMN shard TEXT NOT NULL DEFAULT ''",),
)


def migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[Step] = MIGRATIONS) -> None:
    """Take the steps that the file at ``path`` lacks, all or none of them."""
    if _version(connection) == len(steps):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read again: another process may have taken them while this one waited.
        version = _version(connection)
        _refuse(connection, path, version, len(steps))
        for step in steps[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(steps)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _refuse(connection: sqlite3.Connection, path: Path, version: int, ours: int) -> None:
    if version > ours:
        raise UserError(
            f"{path} has version {version}, this checkout knows up to {ours}",
            "it was written by a newer checkout: update this one, or move the file away",
        )
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version < 0 or (version == 0 and tables):
        raise UserError(
            f"{path} is a database, but not one of matrix results", "move the file away"
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
