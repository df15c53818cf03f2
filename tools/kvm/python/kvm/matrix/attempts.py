# SPDX-License-Identifier: GPL-2.0-only
"""The attempts at a cell, each kept in its folder as it ends, and the result they add up to.

When a cell is taken up again (by the next worker after one was killed, or by ``--resume``), the
earlier attempts count: a failure is not forgotten because the process that saw it died.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kvm.errors import UserError
from kvm.files import write_or_tell
from kvm.kernel.build import Kernel
from kvm.matrix.cell import Cell
from kvm.matrix.order import WorkOrder
from kvm.matrix.repeat import repeat_command
from kvm.matrix.steadiness import summed_up
from kvm.results.model import Attempt, CellResult
from kvm.verdict.ktap import Case
from kvm.verdict.vocabulary import Outcome, Verdict

_FILE = "attempt.json"
_PREFIX = "attempt"


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt with all that is shown of it."""

    attempt: Attempt
    outcome: Outcome
    checks: tuple[Case, ...] = ()
    exits: Mapping[str, object] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)


def result(
    order: WorkOrder,
    cell: Cell,
    tries: Sequence[Try],
    *,
    worker: str = "",
    started: float = 0.0,
    seconds: float = 0.0,
) -> CellResult:
    """The cell's result from its attempts, of which there is at least one."""
    total = summed_up([one.attempt for one in tries])
    shown = tries[total.attempt]
    kernel = order.kernels[cell.config]
    built = kernel if isinstance(kernel, Kernel) else None
    return CellResult(
        cell=cell.id,
        axes=cell.axes,
        verdict=total.verdict,
        reason=total.reason,
        summary=total.summary,
        signature=shown.outcome.signature,
        attempts=tuple(one.attempt for one in tries),
        checks=shown.checks,
        evidence=shown.outcome.evidence,
        timings_s=shown.timings,
        exits=shown.exits,
        run_dir=shown.attempt.run_dir,
        kernel=built.label if built else "",
        kernel_id=built.id if built else "",
        vmm_id=order.vmm.id,
        worker=worker,
        started=started,
        seconds=seconds,
        repeat=repeat_command(cell, order.user_workload, order.known_warnings),
    )


def new_folder(folder: Path) -> Path:
    """Make a folder for the next attempt; that of an unfinished one is left as it is."""
    numbers = [int(path.name.removeprefix(_PREFIX)) for path in _folders(folder)]
    made = folder / f"{_PREFIX}{max(numbers, default=0) + 1}"
    made.mkdir(parents=True)
    return made


def keep(folder: Path, order: WorkOrder, cell: Cell, one: Try) -> None:
    """Write a finished attempt to its folder, as the result it would be alone."""
    text = json.dumps(result(order, cell, [one]).to_json(), indent=1) + "\n"
    write_or_tell(folder / _FILE, text)


def earlier(folder: Path) -> list[Try]:
    """The finished attempts in order, without those that prove nothing about the code.

    Raises ``UserError`` for one that can't be read: it may have been a failure.
    """
    files = [path / _FILE for path in _folders(folder) if (path / _FILE).exists()]
    tries = [_read(path) for path in files]
    return [one for one in tries if one.attempt.verdict is not Verdict.ERROR]


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = (p for p in folder.iterdir() if p.name.removeprefix(_PREFIX).isdecimal())
    return sorted(found, key=lambda path: int(path.name.removeprefix(_PREFIX)))


def _read(path: Path) -> Try:
    try:
        kept = CellResult.from_json(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as bad:
        raise UserError(
            f"{path} is no attempt that this checkout can read: {bad}",
            "start a new run without --resume",
        ) from bad
    outcome = Outcome(kept.verdict, kept.reason, kept.summary, kept.evidence, kept.signature)
    return Try(kept.attempts[0], outcome, kept.checks, kept.exits, kept.timings_s)
