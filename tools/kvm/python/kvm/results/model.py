# SPDX-License-Identifier: GPL-2.0-only
"""Values that describe a matrix run: the run, its cells, and each cell's attempts.

``kvm.matrix`` makes them, ``store.py`` keeps them, ``kvm.report.matrix`` shows them. Times are
seconds, points in time are seconds since the epoch, folders are relative to the checkout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kvm.verdict.ktap import Case, Status
from kvm.verdict.vocabulary import Evidence, Reason, Verdict


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a cell. ``run_dir`` is the folder of its last machine ("" if none booted)."""

    verdict: Verdict
    reason: Reason
    summary: str
    signature: str = ""
    seconds: float = 0.0
    run_dir: str = ""


@dataclass(frozen=True, slots=True)
class CellResult:
    """One cell's verdict from all its attempts.

    ``checks`` are the workload's own sub-results (KTAP), ``exits`` those of all machines of the
    last attempt, in the form of ``ExitCounts.to_json``. ``timings_s`` has the stages without the
    build: boot, command, total.
    """

    cell: str
    axes: Mapping[str, str]
    verdict: Verdict
    reason: Reason
    summary: str
    signature: str = ""
    attempts: tuple[Attempt, ...] = ()
    checks: tuple[Case, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)
    exits: Mapping[str, Any] = field(default_factory=dict)
    run_dir: str = ""
    kernel: str = ""
    kernel_id: str = ""
    vmm_id: str = ""
    worker: str = ""
    started: float = 0.0
    seconds: float = 0.0
    repeat: str = ""

    def to_json(self) -> dict[str, Any]:
        """A dict for ``json.dumps``; ``from_json`` is its inverse."""
        return {
            "cell": self.cell,
            "axes": dict(self.axes),
            "verdict": self.verdict.value,
            "reason": self.reason.value,
            "summary": self.summary,
            "signature": self.signature,
            "attempts": [_attempt_json(attempt) for attempt in self.attempts],
            "checks": [_case_json(case) for case in self.checks],
            "evidence": [item.to_json() for item in self.evidence],
            "timings_s": {name: round(value, 3) for name, value in self.timings_s.items()},
            "exits": dict(self.exits),
            "run_dir": self.run_dir,
            "kernel": self.kernel,
            "kernel_id": self.kernel_id,
            "vmm_id": self.vmm_id,
            "worker": self.worker,
            "started": round(self.started, 3),
            "seconds": round(self.seconds, 3),
            "repeat": self.repeat,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> CellResult:
        """Raises ``KeyError`` or ``ValueError`` for a record that ``to_json`` did not write."""
        plain = {
            name: record[name]
            for name in (
                "cell",
                "axes",
                "summary",
                "signature",
                "timings_s",
                "exits",
                "run_dir",
                "kernel",
                "kernel_id",
                "vmm_id",
                "worker",
                "started",
                "seconds",
                "repeat",
            )
        }
        return cls(
            **plain,
            verdict=Verdict(record["verdict"]),
            reason=Reason(record["reason"]),
            attempts=tuple(_attempt(item) for item in record["attempts"]),
            checks=tuple(_case(item) for item in record["checks"]),
            evidence=tuple(
                Evidence(item["kind"], tuple(item["lines"])) for item in record["evidence"]
            ),
        )


@dataclass(frozen=True, slots=True)
class MatrixRun:
    """One run of the matrix. ``ended`` is None while it runs, and if it was killed.

    ``planned`` has the ids of all its cells, in order; ``shard`` is ``2/3`` if these are but a
    share of the cells that were chosen, to be merged with the others. ``commit`` is that of the
    repository ("" outside git), with a ``+`` if something was uncommitted.
    """

    number: int
    started: float
    planned: tuple[str, ...]
    ended: float | None = None
    interrupted: bool = False
    subset: str = ""
    shard: str = ""
    command: str = ""
    commit: str = ""
    vmm_id: str = ""
    kernels: Mapping[str, str] = field(default_factory=dict)  # config → kernel id


def _attempt_json(attempt: Attempt) -> dict[str, Any]:
    return {
        "verdict": attempt.verdict.value,
        "reason": attempt.reason.value,
        "summary": attempt.summary,
        "signature": attempt.signature,
        "seconds": round(attempt.seconds, 3),
        "run_dir": attempt.run_dir,
    }


def _attempt(record: Mapping[str, Any]) -> Attempt:
    return Attempt(
        Verdict(record["verdict"]),
        Reason(record["reason"]),
        record["summary"],
        record["signature"],
        record["seconds"],
        record["run_dir"],
    )


def _case_json(case: Case) -> dict[str, Any]:
    return {
        "name": case.name,
        "status": case.status.value,
        "note": case.note,
        "comments": list(case.comments),
        "children": [_case_json(child) for child in case.children],
    }


def _case(record: Mapping[str, Any]) -> Case:
    return Case(
        record["name"],
        Status(record["status"]),
        record["note"],
        tuple(record["comments"]),
        tuple(_case(child) for child in record["children"]),
    )
