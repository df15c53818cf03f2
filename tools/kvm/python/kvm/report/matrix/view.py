# SPDX-License-Identifier: GPL-2.0-only
"""All that a renderer needs of one run. ``gather.py`` makes it; from here on all is pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from kvm.output.words import WORST_FIRST
from kvm.report.matrix.console import Console
from kvm.results.history import Change, Earlier, Past
from kvm.results.model import CellResult, MatrixRun
from kvm.verdict.vocabulary import Verdict


@dataclass(frozen=True, slots=True)
class View:
    """``cells`` are in planned order. ``history`` is newest first and begins with this run.

    ``name`` is that of the whole in reports that name it: a suite of payloads has its own.
    """

    run: MatrixRun
    cells: Mapping[str, CellResult]
    changes: tuple[Change, ...] = ()
    before: Mapping[str, Earlier] = field(default_factory=dict)
    history: Mapping[str, tuple[Past, ...]] = field(default_factory=dict)
    consoles: Mapping[str, Console] = field(default_factory=dict)
    name: str = "matrix"

    @property
    def counts(self) -> dict[Verdict, int]:
        """The count of each verdict that occurs, the worst first."""
        return counts(self.cells)

    @property
    def missing(self) -> tuple[str, ...]:
        """Planned cells without a result."""
        return tuple(cell for cell in self.run.planned if cell not in self.cells)

    @property
    def worst_first(self) -> tuple[CellResult, ...]:
        order = {verdict: rank for rank, verdict in enumerate(WORST_FIRST)}
        return tuple(sorted(self.cells.values(), key=lambda result: order[result.verdict]))

    @property
    def seconds(self) -> float:
        return total_seconds(self.run, self.cells)

    @property
    def kernels(self) -> dict[str, str]:
        """Config → kernel id, from the run and its cells."""
        of_cells = {
            result.axes.get("config", ""): result.kernel_id
            for result in self.cells.values()
            if result.kernel_id
        }
        return {**of_cells, **self.run.kernels}


def counts(cells: Mapping[str, CellResult]) -> dict[Verdict, int]:
    found = Counter(result.verdict for result in cells.values())
    return {verdict: found[verdict] for verdict in WORST_FIRST if found[verdict]}


def total_seconds(run: MatrixRun, cells: Mapping[str, CellResult]) -> float:
    """Seconds from the run's start to its end, or to the end of its last cell if it was killed."""
    ends = [result.started + result.seconds for result in cells.values()]
    end = run.ended if run.ended is not None else max(ends, default=run.started)
    return max(end - run.started, 0.0)
