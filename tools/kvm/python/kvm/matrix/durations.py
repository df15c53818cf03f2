# SPDX-License-Identifier: GPL-2.0-only
"""How long cells take, by a file of the checkout that records it: ``tests/matrix/durations.json``.

The seconds are those of one machine. Only their ratios are used: to begin with the longest cells,
and to share cells out evenly. The file belongs to the revision, so that all machines that run a
part of the matrix agree on the parts. ``./invoke report --output durations:FILE`` writes it anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import median

from kvm.errors import UserError
from kvm.matrix.cell import Cell
from kvm.project import Project
from kvm.results.model import CellResult
from kvm.verdict.vocabulary import Verdict

# A guess for a plan of which nothing is recorded.
_UNKNOWN_S = 10.0


class Durations:
    """Recorded seconds by cell id, and guesses for other cells."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._seconds = dict(seconds)
        self._by_workload: dict[str, list[float]] = {}
        for name, took in seconds.items():
            self._by_workload.setdefault(_workload(name), []).append(took)
        self._usual = median(seconds.values()) if seconds else _UNKNOWN_S

    @classmethod
    def read(cls, project: Project) -> Durations:
        """Those of the checkout, if it has that file. Raises ``UserError`` for a bad one."""
        path = file(project)
        try:
            return cls(_checked(json.loads(path.read_text(encoding="utf-8"))))
        except FileNotFoundError:
            return cls({})
        except (OSError, ValueError) as bad:
            raise UserError(
                f"{path} does not say how long cells take: {bad}",
                f"write it anew: ./invoke report --output durations:{path}",
            ) from bad

    def of(self, cell: Cell) -> float:
        """Seconds; for a cell that was not recorded the median of its workload, or of all."""
        if cell.id in self._seconds:
            return self._seconds[cell.id]
        alike = self._by_workload.get(cell.workload)
        return median(alike) if alike else self._usual


def _workload(name: str) -> str:
    """The last part of a cell's id."""
    return name.rpartition("-")[2]


def file(project: Project) -> Path:
    return project.root / "tests" / "matrix" / "durations.json"


def record(results: Iterable[CellResult]) -> str:
    """The text of such a file, from a run's results. A cell that failed may have taken longer."""
    told = {one.cell: round(one.seconds, 1) for one in results if one.verdict is Verdict.PASS}
    return json.dumps(dict(sorted(told.items())), indent=1) + "\n"


def longest_first(cells: Iterable[Cell], cost: Callable[[Cell], float]) -> list[Cell]:
    """In an order that does not depend on the one that they came in."""
    return sorted(cells, key=lambda cell: (-cost(cell), cell.id))


def _checked(record: object) -> Mapping[str, float]:
    if not isinstance(record, dict):
        raise ValueError("it is no object")
    for name, seconds in record.items():
        if not isinstance(seconds, int | float) or not seconds >= 0:
            raise ValueError(f"{name} takes {seconds!r}")
    return record
