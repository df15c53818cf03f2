# SPDX-License-Identifier: GPL-2.0-only
"""The table of blame in rows and columns: kernels down, VMMs across. Pure.

It is two by two, or four by two if KVM's side of the kernel and the guest's were distinguished.
"""

from __future__ import annotations

from dataclasses import dataclass

from kvm.bisect.model import Axis, Decision, Report
from kvm.output.words import duration

Side = frozenset[Axis]

_KERNEL = frozenset((Axis.HOST, Axis.GUEST))


@dataclass(frozen=True, slots=True)
class Row:
    """``cells`` has one for each column; None was not run because the answer did not need it."""

    name: str
    cells: tuple[Decision | None, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """``legend`` explains "before" and "after"."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    legend: str


def grid(report: Report) -> Grid | None:
    """The table, or None if nothing was mixed."""
    if report.blame is None or not report.blame.table:
        return None
    cells = {
        (result.changed & _KERNEL, Axis.VMM in result.changed): result.decision
        for result in report.blame.table
    }
    # "Before" comes first; if the older end fails, that is the one that the table calls changed.
    vmms = sorted({vmm for _, vmm in cells}, reverse=report.fix)
    kernels = sorted({kernel for kernel, _ in cells}, key=_order, reverse=report.fix)
    whole = max(kernels, key=len)
    return Grid(
        columns=tuple(f"VMM {_when(vmm, report)}" if len(vmms) > 1 else "same VMM" for vmm in vmms),
        rows=tuple(
            Row(_name(kernel, whole, report), tuple(cells.get((kernel, vmm)) for vmm in vmms))
            for kernel in kernels
        ),
        legend=_legend(report),
    )


def words(decision: Decision | None) -> str:
    """A cell in words, with its runs if there were several."""
    if decision is None:
        return "-"
    total = decision.bad + decision.good
    return decision.mark.value + (f" ({decision.bad} of {total})" if total > 1 else "")


def took(decision: Decision) -> str:
    return "reused" if decision.reused else duration(decision.seconds)


def _order(kernel: Side) -> tuple[int, bool]:
    return len(kernel), Axis.GUEST in kernel


def _name(kernel: Side, whole: Side, report: Report) -> str:
    if not whole:
        return "same kernel"
    if not kernel or kernel == whole:
        return f"kernel {_when(bool(kernel), report)}"
    host, guest = (_when(axis in kernel, report) for axis in (Axis.HOST, Axis.GUEST))
    return f"KVM {host}, guest {guest}"


def _when(is_changed: bool, report: Report) -> str:
    """The changed part comes from the failing commit, which for a fix is the older one."""
    return "after" if is_changed is not report.fix else "before"


def _legend(report: Report) -> str:
    if report.first_bad is not None:
        return f"Before: as in the parent of {report.first_bad.short}; after: as in that commit."
    if report.fix:
        return "Before: as in the last commit that fails; after: as in the first that passes."
    return "Before: as in the last good commit; after: as in the first known bad one."
