# SPDX-License-Identifier: GPL-2.0-only
"""Reads a ``View`` from the store and the run folders of its cells."""

from __future__ import annotations

from pathlib import Path

from kvm.report.matrix.console import MAX_LINES, Console, read
from kvm.report.matrix.view import View
from kvm.results.history import compare
from kvm.results.model import CellResult, MatrixRun
from kvm.results.store import Store
from kvm.verdict.vocabulary import Verdict

_HISTORY = 20
_PASSING_LINES = 80  # of the console of a cell that passed


def gather(store: Store, run: MatrixRun, root: Path) -> View:
    """The view of a run; ``root`` is the checkout, to which run folders are relative."""
    cells = store.cells(run.number)
    before = store.before(run.number)
    changes = compare(cells, before, store.last_good(run.number), store.gone(run))
    return View(
        run=run,
        cells=cells,
        changes=changes,
        before=before,
        history={cell: store.history(cell, _HISTORY, run.number) for cell in cells},
        consoles={cell: _console(result, root) for cell, result in cells.items()},
    )


def _console(result: CellResult, root: Path) -> Console:
    folder = result.run_dir or next(
        (attempt.run_dir for attempt in reversed(result.attempts) if attempt.run_dir), ""
    )
    if not folder:
        return Console()
    telling = (line for item in result.evidence for line in item.lines)
    limit = _PASSING_LINES if result.verdict is Verdict.PASS else MAX_LINES
    shown_as = f"{folder}/console.log"
    return read(root / folder / "console.log", shown_as, telling, limit)
