# SPDX-License-Identifier: GPL-2.0-only
"""Sample matrix runs for tests of the store and of the reports."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

from kvm.matrix.cell import Cell
from kvm.results.model import Attempt, CellResult, MatrixRun
from kvm.results.store import Store
from kvm.verdict.ktap import Case, Status
from kvm.verdict.vocabulary import Evidence, Reason, Verdict

STARTED = 1_800_000_000.0
HOSTILE = (
    "</pre></article><script>document.title='owned'</script><img src=x onerror=alert(1)>"
    " ]]> ``` | \x1b[31mred\x1b[0m \x00\x08\u202egnitset\u2066 \ud800 &lt; @everyone"
)

_WORKLOADS = (
    *("boot", "blk_integrity", "blk_flush", "rng", "hotplug", "reboot", "clock", "smp_stress"),
    *("kselftest_kvm", "console_flood"),
)
_MACHINES = tuple(itertools.product((1, 2, 4), ("mmio", "pci")))
_CONSOLE = """[    0.000000] Linux version 6.12.117 (builder@host)
[    0.412211] virtio_blk virtio0: [vda] 131072 512-byte logical blocks
[    1.002001] BUG: kernel NULL pointer dereference, address: 0000000000000008
[    1.002002] #PF: supervisor read access in kernel mode
[    1.002003] Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI
[    1.002004] CPU: 0 UID: 0 PID: 42 Comm: dd Not tainted 6.12.117 #1
[    1.002005] RIP: 0010:virtblk_done+0x4b/0x110
[    1.002006] Call Trace:
[    1.002007]  <IRQ>
[    1.002008]  vring_interrupt+0x6e/0xb0
[    1.002009]  </IRQ>
[    1.002010] ---[ end trace 0000000000000000 ]---
[    1.302010] Kernel panic - not syncing: Fatal exception in interrupt
"""


def passed(cell: str = "lab-vcpus1-mmio-boot", **changes: object) -> CellResult:
    """A good result of one cell; ``changes`` replace its fields."""
    good = CellResult(
        cell=cell,
        axes=Cell().axes,
        verdict=Verdict.PASS,
        reason=Reason.OK,
        summary="all 3 checks passed",
        attempts=(Attempt(Verdict.PASS, Reason.OK, "all 3 checks passed", "", 2.0, ""),),
        checks=(Case("boots", Status.PASS), Case("exit code", Status.PASS)),
        timings_s={"boot": 1.1, "command": 0.4, "total": 2.0},
        exits={
            "total": 213,
            "reasons": {"io": 59, "mmio": 154},
            "ports": {"0x3f8": 34, "0xcf9": 3},
            "devices": {"com1": 21, "virtio-console": 113},
        },
        kernel="6.12.117+g453bd6bd32f2",
        kernel_id="c7636f27cb35e151",
        vmm_id="46485610374f69d3",
        worker="host-1",
        started=STARTED,
        seconds=2.0,
        repeat=f"./invoke test --matrix --cell {cell}",
    )
    return dataclasses.replace(good, **changes)  # type: ignore[arg-type]


def cells() -> list[Cell]:
    """Seventy cells: ten workloads on six similar machines and one that differs in all axes."""
    plain = [
        Cell(vcpus=vcpus, transport=transport, workload=workload)
        for workload in _WORKLOADS
        for vcpus, transport in _MACHINES
    ]
    special = [
        Cell(vcpus=2, config="debug", memory_mib=1024, cmdline="nosmp", workload=workload)
        for workload in _WORKLOADS
    ]
    return plain + special


def sample(root: Path, *, number: int = 0) -> list[CellResult]:
    """Seventy results with every verdict; their consoles are written below ``root``."""
    results = [_varied(index, cell, number) for index, cell in enumerate(cells())]
    for index, result in enumerate(results):
        folder = root / "build" / "runs" / f"{number}-{index}"
        folder.mkdir(parents=True)
        (folder / "console.log").write_text(_console(result), errors="surrogateescape")
        run_dir = folder.relative_to(root).as_posix()
        results[index] = dataclasses.replace(result, run_dir=run_dir)
    return results


def _varied(index: int, cell: Cell, number: int) -> CellResult:
    result = passed(
        cell.id,
        axes=cell.axes,
        seconds=1.0 + index % 7,
        started=STARTED + number * 86400 + index * 2,
    )
    if number == 0:
        return result
    make = {9: _oops, 22: _flaky, 37: _checks, 41: _error, 55: _skip, 63: _hostile}.get(index)
    if make is None:
        if index % 20 == 3:
            return dataclasses.replace(result, seconds=result.seconds * 3 + 2)
        return result
    return make(result)


def _console(result: CellResult) -> str:
    lines = [f"[    0.1{n:05d}] initcall number {n} returned 0" for n in range(300)]
    if result.reason is Reason.KERNEL_OOPS:
        return "\n".join(lines * 2) + "\n" + _CONSOLE
    if "<script>" in result.summary:
        return "\n".join([*lines, HOSTILE.replace("\ud800", ""), "x" * 5000]) + "\n"
    return "\n".join(lines[:40]) + "\n"


def _oops(result: CellResult) -> CellResult:
    told = "kernel NULL pointer dereference in virtblk_done"
    return dataclasses.replace(
        result,
        verdict=Verdict.FAIL,
        reason=Reason.KERNEL_OOPS,
        summary=told,
        signature=told,
        evidence=(
            Evidence("console", tuple(_CONSOLE.splitlines()[2:12])),
            Evidence("registers", ("vcpu0 rip is virtblk_done+0x4b/0x110", "   rip ffffffff81a0")),
            Evidence("last exits", ("mmio write 0xd0000050 4", "io write 0x3f8 0x41")),
        ),
        exits={"total": 990, "reasons": {"io": 60, "mmio": 930}, "devices": {"virtio-blk": 800}},
    )


def _flaky(result: CellResult) -> CellResult:
    told = "no output for 20 s at default_idle"
    return dataclasses.replace(
        result,
        verdict=Verdict.FLAKY,
        reason=Reason.HANG,
        summary="failed in 1 of 3 attempts: " + told,
        attempts=(
            Attempt(Verdict.FAIL, Reason.HANG, told, told, 21.0, "build/runs/1"),
            *(Attempt(Verdict.PASS, Reason.OK, "passed", "", 1.0, "build/runs/2"),) * 2,
        ),
    )


def _checks(result: CellResult) -> CellResult:
    good = tuple(Case(f"vm_page_fault_{n}", Status.PASS) for n in range(30))
    bad = Case("dirty_log", Status.FAIL, comments=("expected 4096 pages, saw 4095",))
    suite = Case("x86", Status.FAIL, children=(*good, bad, Case("amx", Status.SKIP, "no AMX")))
    return dataclasses.replace(
        result,
        verdict=Verdict.FAIL,
        reason=Reason.CHECK_FAILED,
        summary="x86/dirty_log failed",
        checks=(Case("boots", Status.PASS), suite),
    )


def _error(result: CellResult) -> CellResult:
    return dataclasses.replace(
        result,
        verdict=Verdict.ERROR,
        reason=Reason.INFRASTRUCTURE,
        summary="the lab host ended while the cell ran",
        checks=(),
    )


def _skip(result: CellResult) -> CellResult:
    return dataclasses.replace(
        result,
        verdict=Verdict.SKIP,
        reason=Reason.NONE,
        summary="the kernel has no CONFIG_HOTPLUG_CPU",
        checks=(),
        exits={},
        seconds=0.0,
    )


def _hostile(result: CellResult) -> CellResult:
    nested = Case(HOSTILE, Status.FAIL, HOSTILE, (HOSTILE, "ok 1 forged", "not ok 2 forged"))
    return dataclasses.replace(
        result,
        verdict=Verdict.FAIL,
        reason=Reason.GUEST_EXIT,
        summary=HOSTILE,
        signature=HOSTILE,
        checks=(Case("suite\nok 9 forged", Status.FAIL, children=(nested,)),),
        evidence=(Evidence(HOSTILE, (HOSTILE, "</script>")),),
    )


def stored(root: Path) -> Path:
    """Make a database with two whole runs, the second with failures; return its path."""
    path = root / "build" / "results.sqlite3"
    with Store.open(path) as store:
        for number in (0, 1):
            planned = tuple(cell.id for cell in cells())
            started = STARTED + number * 86400
            run = store.begin(
                MatrixRun(
                    number=0,
                    started=started,
                    planned=planned,
                    subset="full",
                    command="./invoke test --matrix --subset full",
                    commit="8ec498f0aa11+",
                    vmm_id="46485610374f69d3",
                    kernels={"default": "c7636f27cb35e151", "debug": "0a9be1727cb35e15"},
                )
            )
            for result in sample(root, number=number):
                store.add(run, result)
            store.end(run, started + 151)
    return path
