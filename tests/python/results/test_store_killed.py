# SPDX-License-Identifier: GPL-2.0-only
"""A writer that is killed at any moment leaves a valid database with all that was kept."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

from kvm import process
from kvm.results.store import Store

_PATHS = [str(Path(__file__).parents[3] / folder) for folder in ("tools/kvm/python", "tests")]
_WRITER = f"""
import itertools, sys
sys.path[:0] = {_PATHS!r}
from pathlib import Path
from kvm.results.model import MatrixRun
from kvm.results.store import Store
from support.matrix_run import passed
with Store.open(Path(sys.argv[1])) as store:
    run = store.begin(MatrixRun(number=0, started=1.0, planned=()))
    for number in itertools.count():
        store.add(run, passed(f"cell-{{number}}", summary="x" * 9000))
        print(run, number, flush=True)
"""


def test_no_acknowledged_cell_is_lost_to_sigkill(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite3"
    kept: dict[int, int] = {}
    for attempt in range(8):
        argv = (sys.executable, "-c", _WRITER, str(path))
        with process.spawn(argv, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(attempt * 3 + 1):
                writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
            # What it reported before it died was kept as well.
            *_, last = [b"", *writer.stdout.read().splitlines()]
            writer.wait(10)
        run, number = (int(word) for word in last.split()) if last else (attempt + 1, attempt * 3)
        kept[run] = number
    with Store.open(path) as store:
        assert [run.number for run in store.runs()] == list(range(8, 0, -1))
        for run, number in kept.items():
            assert {f"cell-{n}" for n in range(number + 1)} <= set(store.cells(run)), run
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
