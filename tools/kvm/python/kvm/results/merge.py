# SPDX-License-Identifier: GPL-2.0-only
"""Joins the runs of all shards of a matrix, each from a database of its own, to one run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kvm.errors import UserError
from kvm.results.model import CellResult, MatrixRun
from kvm.results.store import Store

_DATABASE = "results.sqlite3"
_SAME = ("commit", "vmm_id", "subset")


@dataclass(frozen=True, slots=True)
class Part:
    """The newest run of a database; ``folder`` has the folders of its cells, if they came along."""

    path: Path
    run: MatrixRun
    cells: dict[str, CellResult]

    @property
    def number(self) -> int:
        return int(self.run.shard.partition("/")[0])

    @property
    def count(self) -> int:
        return int(self.run.shard.partition("/")[2])

    @property
    def folder(self) -> Path:
        return self.path.parent / "matrix" / str(self.run.number)


def read(paths: Sequence[Path]) -> tuple[Part, ...]:
    """The parts in these databases, or in the ``build`` folders that they are in.

    Nothing is changed there. Raises ``UserError`` if they are not all the shards of one run of the
    same code.
    """
    parts = tuple(_read(path / _DATABASE if path.is_dir() else path) for path in paths)
    _require_whole(parts)
    return parts


def merge(store: Store, build: Path, parts: Sequence[Part], *, order: Sequence[str] = ()) -> int:
    """Enter the joined run into ``store``, and return its number.

    ``build`` is where that is; ``order`` has ids of cells in the order of the plan.
    """
    runs = [part.run for part in parts]
    place = {cell: at for at, cell in enumerate(order)}
    planned = [cell for run in runs for cell in run.planned]
    joined = replace(
        runs[0],
        started=min(run.started for run in runs),
        planned=tuple(sorted(planned, key=lambda cell: place.get(cell, len(place)))),
        shard="",
        command=" + ".join(run.command for run in runs),
        kernels={name: kernel for run in runs for name, kernel in run.kernels.items()},
    )
    number = store.begin(joined)
    for part in parts:
        for result in part.cells.values():
            store.add(number, _moved(part, result, build, number))
    ends = [run.ended for run in runs if run.ended is not None]
    whole = len(ends) == len(runs) and not any(run.interrupted for run in runs)
    store.end(number, max(ends, default=runs[0].started), interrupted=not whole)
    return number


def _read(path: Path) -> Part:
    """Read a copy, as opening a database of an earlier version changes it."""
    with tempfile.TemporaryDirectory(prefix="toolskvm-merge-") as folder:
        copy = Path(folder) / _DATABASE
        try:
            shutil.copyfile(path, copy)
        except OSError as failed:
            raise UserError(
                f"--merge {path}: {failed.strerror}", "name a shard's build/results.sqlite3"
            ) from failed
        with Store.open(copy) as store:
            newest = next(iter(store.runs(1)), None)
            if newest is None or not newest.shard:
                raise UserError(
                    f"--merge {path}: its newest run is no shard",
                    "make it by ./invoke test --matrix --shard NUMBER/COUNT",
                )
            return Part(path, newest, store.cells(newest.number))


def _require_whole(parts: Sequence[Part]) -> None:
    first = parts[0]
    for other in parts[1:]:
        for field in _SAME:
            ours, theirs = getattr(first.run, field), getattr(other.run, field)
            if ours != theirs:
                raise UserError(
                    f"--merge {other.path}: its {field} is {theirs}, and {ours} in {first.path}",
                    "join shards of one run of the same code",
                )
        for config, kernel in other.run.kernels.items():
            if first.run.kernels.get(config, kernel) != kernel:
                raise UserError(
                    f"--merge {other.path}: another kernel with config {config} than in "
                    f"{first.path}",
                    "join shards of one run of the same code",
                )
    have = sorted(part.number for part in parts)
    wrong = next((part for part in parts if part.count != first.count), None)
    if wrong is None and have == list(range(1, first.count + 1)):
        return
    told = ", ".join(f"{part.run.shard} in {part.path}" for part in parts)
    raise UserError(f"--merge: these are not all shards of one run: {told}", "name each once")


def _moved(part: Part, result: CellResult, build: Path, number: int) -> CellResult:
    """The result with its folders, if they came along, among those of the joined run."""
    theirs = part.folder / result.cell
    if not theirs.is_dir():
        return result
    shutil.copytree(theirs, build / "matrix" / str(number) / result.cell, dirs_exist_ok=True)
    before, after = (f"{build.name}/matrix/{n}/" for n in (part.run.number, number))

    def moved(folder: str) -> str:
        return after + folder.removeprefix(before) if folder.startswith(before) else folder

    return replace(
        result,
        run_dir=moved(result.run_dir),
        attempts=tuple(replace(one, run_dir=moved(one.run_dir)) for one in result.attempts),
    )
