# SPDX-License-Identifier: GPL-2.0-only
"""Runs one cell: attempts at its workload until the verdict is clear, then its result.

A pytest worker calls it for one cell at a time. Everything that goes wrong in a cell becomes its
verdict; only Ctrl-C passes through.
"""

from __future__ import annotations

import hashlib
import json
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from kvm.errors import InfrastructureError, UserError
from kvm.files import write_or_tell
from kvm.host.base import CommandTimeout, HostLost
from kvm.kernel.build import Kernel
from kvm.matrix import attempts
from kvm.matrix.attempts import Try
from kvm.matrix.cell import Cell
from kvm.matrix.hosting import LAB_CONFIGS
from kvm.matrix.order import BuildFailure, WorkOrder
from kvm.matrix.steadiness import wants_another
from kvm.matrix.workbench import CellBench, WorkerContext
from kvm.matrix.workload import CellFailed, CellSkipped, Workload
from kvm.results.model import Attempt, CellResult
from kvm.run import observe
from kvm.run.halves import Halves
from kvm.say import Say
from kvm.verdict import known
from kvm.verdict.vocabulary import Evidence, Outcome, Reason, Verdict


@dataclass(frozen=True, slots=True)
class CellRunner:
    """The state of a worker for all its cells. ``say`` reports progress to the user."""

    order: WorkOrder
    context: WorkerContext
    worker: str
    say: Say = lambda text: None

    def run(self, cell: Cell, workload: Workload) -> CellResult:
        """The cell's result, also written to ``cell.json`` in its folder.

        Attempts of a killed run count. Raises ``UserError`` for one that can't be read.
        """
        started, begin = time.time(), time.monotonic()
        folder = self.order.folder / cell.id
        folder.mkdir(parents=True, exist_ok=True)
        broken = self._unbuilt(cell)
        tries = attempts.earlier(folder) if broken is None else [self._build_failure(broken)]
        while broken is None and wants_another([t.attempt for t in tries], self.order.reruns):
            if tries:
                self.say(f"{cell.id}: {tries[-1].outcome.reason.value}, running it again")
            place = attempts.new_folder(folder)
            tries.append(self._attempt(cell, workload, place))
            attempts.keep(place, self.order, cell, tries[-1])
        result = attempts.result(
            self.order,
            cell,
            tries,
            worker=self.worker,
            started=started,
            seconds=time.monotonic() - begin,
        )
        write_or_tell(folder / "cell.json", json.dumps(result.to_json(), indent=1) + "\n")
        return result

    def _attempt(self, cell: Cell, workload: Workload, folder: Path) -> Try:
        start = time.monotonic()
        bench = self._bench(cell, folder, start + workload.deadline_s)
        try:
            outcome = self._outcome(bench, workload)
        finally:
            bench.close_host()
        outcome = known.noted(outcome, bench.known_seen)
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
        return Try(attempt, outcome, tuple(bench.checks), bench.exits(), _timings(bench, seconds))

    def _bench(self, cell: Cell, folder: Path, ends_at: float) -> CellBench:
        guest, hosting = self._kernels(cell)
        assert isinstance(guest, Kernel) and isinstance(hosting, Kernel), cell.id
        return CellBench(
            cell=cell,
            folder=folder,
            seed=int(hashlib.sha256(cell.id.encode()).hexdigest()[:8], 16),
            context=self.context,
            guest=Halves(guest, self.order.vmm),
            hosting=Halves(hosting, self.order.vmm),
            ends_at=ends_at,
            note=lambda text: self.say(f"{cell.id}: {text}"),
            known_warnings=self.order.known_warnings,
        )

    def _outcome(self, bench: CellBench, workload: Workload) -> Outcome:
        """Run the workload; its end becomes an ``Outcome``."""
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
            if late.starved:
                return Outcome(Verdict.ERROR, Reason.INFRASTRUCTURE, str(late), (tail,))
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
        if bench.outcome.ok and bench.flaky is not None:
            return bench.flaky
        if bench.outcome.ok:
            count = sum(1 for case in bench.checks for _ in case.leaves())
            return Outcome(Verdict.PASS, Reason.OK, f"{count} checks held")
        return bench.outcome

    def _kernels(self, cell: Cell) -> tuple[Kernel | BuildFailure, Kernel | BuildFailure]:
        """The guest's kernel and the lab host's."""
        hosting = self.order.lab_kernel(LAB_CONFIGS.get(cell.host, "default"))
        return self.order.kernels[cell.config], hosting

    def _unbuilt(self, cell: Cell) -> BuildFailure | None:
        found = (kernel for kernel in self._kernels(cell) if isinstance(kernel, BuildFailure))
        return next(found, None)

    def _build_failure(self, broken: BuildFailure) -> Try:
        """The result of a cell whose kernel does not build; other cells run."""
        evidence = (Evidence("compiler", broken.errors),)
        outcome = Outcome(Verdict.ERROR, Reason.BUILD_FAILURE, broken.message, evidence)
        return Try(Attempt(outcome.verdict, outcome.reason, outcome.summary), outcome)

    def _relative(self, folder: Path | None) -> str:
        return "" if folder is None else str(folder.relative_to(self.context.project.root))


def _timings(bench: CellBench, seconds: float) -> dict[str, float]:
    boots = [r.timings.boot_s for r in bench.records if r.timings.boot_s is not None]
    hosts = [r.timings.host_boot for r in bench.records if r.timings.host_boot]
    found = {"boot": sum(boots) / len(boots)} if boots else {}
    if hosts:
        found["host_boot"] = max(hosts)
    return {**found, **bench.timings, "total": seconds}
