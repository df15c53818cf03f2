# SPDX-License-Identifier: GPL-2.0-only
"""``bench edit``: the seconds from an edited line to a verdict.

Ours is the whole command ``./invoke build-and-boot``. The peer is ``make bzImage`` and a boot of
the result by virtme-ng, from the same tree and compiler, with the same config but for modules,
which its image has built in. Each edit is made for both, which take turns to be first, and is
undone at the end. With the row ``nothing`` no file is edited.

A driver that only guests load is edited twice: once for ``--hold-host``, whose lab host goes on
with the kernel of the row before, and once for a lab host of its own.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from kvm import process
from kvm.bench import virtme
from kvm.bench.edited import SourceFile, new_numbers, restored
from kvm.bench.result import Figures
from kvm.bench.virtme import Virtme
from kvm.host.choose import kvm_probe, lab_accelerator
from kvm.host.qemu import Accelerator
from kvm.kernel import build as kernel_build
from kvm.kernel import tree as kernel_tree
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import halves

OURS = "tools-kvm"
NOTHING = "nothing"
# virtme-ng's machine is a PC, whose kernel needs ACPI to power off.
CONFIG = "vfio"
_LIMIT_S = 3600.0

# Where its seconds are kept, and what is timed.
_Turn = tuple[list[float], Callable[[], None]]

_C_LINE = "static const int bench_edit_{number} __used = {number};"
_DRIVER = "drivers/block/virtio_blk.c"
_HELD = "--hold-host"
_SOURCES = "tools/kvm/src"
_UNIT, _HEADER = "machine/board.cpp", "memory/guest_memory.hpp"
_UNIT_LINE = "extern const int bench_edit; const int bench_edit = {number};"
_HEADER_LINE = "inline constexpr int kBenchEdit = {number};"


@dataclass(frozen=True, slots=True)
class Case:
    """What is edited, if anything. ``words`` are options of our command.

    The peer takes no turn if not ``compared``: it builds no VMM.
    """

    name: str
    file: SourceFile | None = None
    words: tuple[str, ...] = ()
    compared: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """The seconds of each run after one kind of edit; the peer does not build a VMM."""

    name: str
    ours_s: tuple[float, ...]
    peer_s: tuple[float, ...]

    @property
    def ours(self) -> float:
        return statistics.median(self.ours_s)

    @property
    def ratio(self) -> float | None:
        """Our median over the peer's: below 1 we are faster."""
        return self.ours / statistics.median(self.peer_s) if self.peer_s else None


@dataclass(frozen=True, slots=True)
class EditBench:
    """A row for each file that was edited, and first the one without an edit."""

    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        ratios = {row.name: round(row.ratio, 3) for row in self.rows if row.ratio is not None}
        return {
            "peer": virtme.NAME if ratios else None,
            "ratios": ratios,
            "to_nothing": {row.name: round(self._to_nothing(row), 3) for row in self.rows[1:]},
            "median_s": {
                row.name: {OURS: round(row.ours, 3), **self._peer_median(row)} for row in self.rows
            },
            "runs_s": {row.name: {OURS: row.ours_s, virtme.NAME: row.peer_s} for row in self.rows},
            "runs": len(self.rows[0].ours_s),
        }

    def table(self) -> str:
        lines = [f"{'edited':42}{OURS:>10}{virtme.NAME:>18}{'ratio':>7}{'to nothing':>12}"]
        for row in self.rows:
            peer = f"{statistics.median(row.peer_s):.1f} s" if row.peer_s else "-"
            ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
            lines.append(
                f"{row.name:42}{row.ours:8.1f} s{peer:>18}{ratio:>7}{self._to_nothing(row):12.2f}"
            )
        return "\n".join(lines) + "\n"

    def _to_nothing(self, row: Row) -> float:
        return row.ours / self.rows[0].ours

    @staticmethod
    def _peer_median(row: Row) -> dict[str, float]:
        return {virtme.NAME: round(statistics.median(row.peer_s), 3)} if row.peer_s else {}


def report(project: Project, progress: Progress, *, runs: int) -> Figures:
    """Measure and render the result."""
    found = measure(project, progress, runs=runs)
    table = found.table()
    if not virtme.found():
        table += f"without virtme-ng there is nothing to compare with: {virtme.INSTALL}\n"
    return Figures(found.to_json(), table)


def measure(project: Project, progress: Progress, *, runs: int) -> EditBench:
    """Edit, build and boot on both sides in turn, ``runs`` times for each case."""
    with progress.phase("kernel tree") as say:
        tree = kernel_tree.prepare(project, say).path
    cases = _cases(tree, project.root / _SOURCES)
    seconds: dict[str, tuple[list[float], list[float]]] = {case.name: ([], []) for case in cases}
    edits = new_numbers()
    with restored([case.file for case in cases if case.file is not None]):
        peer = _prepared(project, progress, tree)
        _build_and_boot(project)
        for number, case in product(range(1, runs + 1), cases):
            if case.file is not None:
                case.file.edit(next(edits))
            ours, theirs = seconds[case.name]
            turns: list[_Turn] = [(ours, partial(_build_and_boot, project, *case.words))]
            if peer is not None and case.compared:
                turns.append((theirs, peer.build_and_boot))
            for taken, turn in turns[:: -1 if number % 2 else 1]:
                with progress.phase(f"{case.name}, {number} of {runs}"):
                    taken.append(_timed(turn))
    return EditBench(tuple(Row(name, tuple(o), tuple(p)) for name, (o, p) in seconds.items()))


def _cases(tree: Path, sources: Path) -> tuple[Case, ...]:
    def edited(name: str) -> Case:
        return Case(name, SourceFile(tree / name, _C_LINE))

    driver = edited(_DRIVER)
    return (
        Case(NOTHING),
        edited("virt/kvm/kvm_main.c"),
        edited("arch/x86/kvm/svm/svm.c"),
        replace(driver, name=f"{_DRIVER} {_HELD}", words=(_HELD,)),
        driver,
        Case(_UNIT, SourceFile(sources / _UNIT, _UNIT_LINE), compared=False),
        Case(_HEADER, SourceFile(sources / _HEADER, _HEADER_LINE), compared=False),
    )


def _prepared(project: Project, progress: Progress, tree: Path) -> Virtme | None:
    """The peer with everything built; None if it is not installed."""
    built = halves.build(project, progress, config=CONFIG)
    if not virtme.found():
        return None
    accelerator = lab_accelerator(lambda: kvm_probe(built.vmm.folder, project.cache))
    out = project.build / "bench" / "make"
    peer = Virtme(project, tree, out, emulated=accelerator is Accelerator.TCG)
    with progress.phase(f"{virtme.NAME}: the first build") as say:
        peer.prepare(kernel_build.output_folder(project, CONFIG) / ".config", say)
    return peer


def _build_and_boot(project: Project, *options: str) -> None:
    words = ("build-and-boot", "--config", CONFIG, *options)
    done = process.run(
        (project.root / "invoke", *words), cwd=project.root, check=False, timeout_s=_LIMIT_S
    )
    if not done.ok:
        raise virtme.failed(done)


def _timed(turn: Callable[[], None]) -> float:
    start = time.monotonic()
    turn()
    return time.monotonic() - start
