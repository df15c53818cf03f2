# SPDX-License-Identifier: GPL-2.0-only
"""Run one cell: attempts at its workload until the verdict is clear, then its result.

Called by a pytest worker, for one cell at a time. Everything that can go wrong with a
cell becomes its verdict; only Ctrl-C goes through.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kvm.errors import InfrastructureError, UserError
from kvm.files import write_whole
from kvm.host.base import CommandTimeout, HostLost
from kvm.kernel.build import Kernel
from kvm.matrix.bench import CellBench, Surroundings
from kvm.matrix.cell import Cell
from kvm.matrix.hosting import LAB_CONFIGS
from kvm.matrix.order import BuildFailure, Order
from kvm.matrix.steadiness import summed_up, wants_another
from kvm.matrix.workload import CellFailed, CellSkipped, Workload
from kvm.results.model import Attempt, CellResult
from kvm.run import observe
from kvm.run.halves import Halves
from kvm.verdict.ktap import Case
from kvm.verdict.vocabulary import Evidence, Outcome, Reason, Verdict

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Try:
    """One attempt with all that is shown of it."""

    attempt: Attempt
    outcome: Outcome
    checks: tuple[Case, ...] = ()
    exits: dict[str, object] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CellRunner:
    """What a worker needs for all its cells. ``say`` tells people what goes on."""

    order: Order
    around: Surroundings
    worker: str
    say: Say = lambda text: None

    def run(self, cell: Cell, workload: Workload) -> CellResult:
        """The cell's result, also written to ``cell.json`` in its folder."""
        started, begin = time.time(), time.monotonic()
        folder = self.order.folder / cell.id
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        broken = self._unbuilt(cell)
        tries = [] if broken is None else [self._build_failure(broken)]
        while broken is None and wants_another([t.attempt for t in tries], self.order.reruns):
            number = len(tries) + 1
            if tries:
                self.say(f"{cell.id}: {tries[-1].outcome.reason.value}, running it again")
            tries.append(self._attempt(cell, workload, folder / f"attempt{number}"))
        result = self._result(cell, tries, started, time.monotonic() - begin)
        write_whole(folder / "cell.json", json.dumps(result.to_json(), indent=1) + "\n")
        return result

    def _attempt(self, cell: Cell, workload: Workload, folder: Path) -> _Try:
        start = time.monotonic()
        folder.mkdir(parents=True)
        bench = self._bench(cell, folder, start + workload.deadline_s)
        try:
            outcome = self._outcome(bench, workload)
        finally:
            bench.close_host()
        bench.clean_up(keep_disks=outcome.verdict is Verdict.FAIL)
        seconds = time.monotonic() - start
        attempt = Attempt(
            outcome.verdict,
            outcome.reason,
            outcome.summary,
            outcome.signature,
            seconds,
            self._relative(bench.records[-1].run_dir if bench.records else None),
        )
        return _Try(attempt, outcome, tuple(bench.checks), bench.exits(), _timings(bench, seconds))

    def _bench(self, cell: Cell, folder: Path, ends_at: float) -> CellBench:
        guest, hosting = self._kernels(cell)
        assert isinstance(guest, Kernel) and isinstance(hosting, Kernel), cell.id
        return CellBench(
            cell=cell,
            folder=folder,
            seed=int(hashlib.sha256(cell.id.encode()).hexdigest()[:8], 16),
            around=self.around,
            guest=Halves(guest, self.order.vmm),
            hosting=Halves(hosting, self.order.vmm),
            ends_at=ends_at,
            note=lambda text: self.say(f"{cell.id}: {text}"),
        )

    def _outcome(self, bench: CellBench, workload: Workload) -> Outcome:
        """The workload's end in the one vocabulary."""
        try:
            workload.run(bench)
            bench.close_host()
        except CellFailed:
            pass
        except CellSkipped as why:
            return Outcome(Verdict.SKIP, Reason.NONE, str(why))
        except HostLost as lost:
            return observe.host_lost(lost)
        except CommandTimeout as late:
            tail = Evidence("output", tuple(late.output.splitlines()[-20:]))
            return Outcome(Verdict.FAIL, Reason.TIMEOUT, str(late), (tail,), "timeout")
        except (InfrastructureError, UserError, OSError) as trouble:
            return Outcome(Verdict.ERROR, Reason.INFRASTRUCTURE, str(trouble))
        except Exception as bug:
            lines = tuple("".join(traceback.format_exception(bug)).splitlines())
            text = f"workload {workload.name} is broken: {bug!r}"
            return Outcome(
                Verdict.ERROR, Reason.INFRASTRUCTURE, text, (Evidence("traceback", lines),)
            )
        if bench.outcome.ok and not bench.checks:
            return Outcome(Verdict.ERROR, Reason.INFRASTRUCTURE, f"{workload.name} checked nothing")
        if bench.outcome.ok:
            count = sum(1 for case in bench.checks for _ in case.leaves())
            return Outcome(Verdict.PASS, Reason.OK, f"{count} checks held")
        return bench.outcome

    def _kernels(self, cell: Cell) -> tuple[Kernel | BuildFailure, Kernel | BuildFailure]:
        """The guest's and the lab host's."""
        hosting = self.order.lab_kernel(LAB_CONFIGS.get(cell.host, "default"))
        return self.order.kernels[cell.config], hosting

    def _unbuilt(self, cell: Cell) -> BuildFailure | None:
        found = (kernel for kernel in self._kernels(cell) if isinstance(kernel, BuildFailure))
        return next(found, None)

    def _build_failure(self, broken: BuildFailure) -> _Try:
        """Its other cells run; these can't tell."""
        evidence = (Evidence("compiler", broken.errors),)
        outcome = Outcome(Verdict.ERROR, Reason.BUILD_FAILURE, broken.message, evidence)
        return _Try(Attempt(outcome.verdict, outcome.reason, outcome.summary), outcome)

    def _result(self, cell: Cell, tries: list[_Try], started: float, seconds: float) -> CellResult:
        total = summed_up([one.attempt for one in tries])
        shown = tries[total.attempt]
        kernel = self.order.kernels[cell.config]
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
            vmm_id=self.order.vmm.id,
            worker=self.worker,
            started=started,
            seconds=seconds,
            repeat=repeat_command(cell, self.order.user_workload),
        )

    def _relative(self, folder: Path | None) -> str:
        return "" if folder is None else str(folder.relative_to(self.around.project.root))


def repeat_command(cell: Cell, user_workload: str) -> str:
    """The command line that runs this cell alone."""
    if user_workload:
        axes = " ".join(
            f"--axis {axis}={value}" for axis, value in cell.axes.items() if axis != "workload"
        )
        return f"./invoke test --matrix {axes} --workload {shlex.quote(user_workload)}"
    return f"./invoke test --matrix --subset full -k {cell.id}"


def _timings(bench: CellBench, seconds: float) -> dict[str, float]:
    boots = [r.timings.boot_s for r in bench.records if r.timings.boot_s is not None]
    hosts = [r.timings.host_boot for r in bench.records if r.timings.host_boot]
    found = {"boot": sum(boots) / len(boots)} if boots else {}
    if hosts:
        found["host_boot"] = max(hosts)
    return {**found, **bench.timings, "total": seconds}
