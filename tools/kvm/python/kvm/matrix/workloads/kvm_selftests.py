# SPDX-License-Identifier: GPL-2.0-only
"""The tree's KVM selftests against the tree's KVM, in the lab host.

Every program that the tree's Makefile lists for x86 runs, one after another, and has a
verdict. ``tests/matrix/expected/kvm_selftests.toml`` lists those that can't pass under emulation,
and why. Any of them may fail by chance there, so failed ones are repeated.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from kvm.errors import UserError
from kvm.host.base import CommandTimeout
from kvm.kernel import headers, selftests, tree
from kvm.matrix import programs
from kvm.matrix.programs import Program
from kvm.matrix.workload import Bench, Workload
from kvm.verdict import expected
from kvm.verdict.ktap import Case

_HOST_CPUS = 2  # several tests need vCPUs that run at the same time
_LIMIT_S = 60
# Stress tests that take minutes under emulation are stopped early; a wrong result ends them sooner.
# One adds 32,764 memory slots, which takes a minute while other cells use the CPUs.
_LIMITS_S = {"hardware_disable_test": 5, "rseq_test": 5, "set_memory_region_test": 180}
# Other long tests have options to do less: an emulated page fault costs 50 µs.
_ARGUMENTS = {
    "access_tracking_perf_test": "-b 64M",
    "demand_paging_test": "-b 64M",
    "dirty_log_perf_test": "-b 64M",
    "dirty_log_test": "-M dirty-ring -c 4096 -i 3",
    "kvm_page_table_test": "-b 64M",
    "max_guest_memory_test": "-c 1 -m 1 -s 1",
    "memslot_modification_stress_test": "-b 64M",
    "memslot_perf_test": "-l 1 -s 512 -e 0",
    "set_memory_region_test": "1",
}


def plan(folder: Path) -> tuple[Program, ...]:
    """The programs to run of the selftests in ``folder``."""
    names = (folder / selftests.PROGRAMS).read_text().split()
    return tuple(_program(folder / name) for name in names)


def _program(path: Path) -> Program:
    name = path.name
    words = (str(path), *shlex.split(_ARGUMENTS.get(name, "")))
    return Program(name, words, _LIMITS_S.get(name, _LIMIT_S))


def _run(bench: Bench) -> None:
    uapi = headers.installed(bench.project)
    if uapi is None:
        raise UserError("the tree's UAPI headers are not installed", "run ./invoke build first")
    known = expected.load(bench.project, "kvm_selftests")
    source_tree = tree.locate(bench.project)
    folder = selftests.build_kvm_selftests(bench.project, source_tree, uapi, bench.say)
    todo = plan(folder)
    start = time.monotonic()
    judged = expected.apply(_cases(bench, todo), known)
    names = expected.to_repeat(judged, known)
    again = tuple(program for program in todo if program.name in names)
    more = [_cases(bench, again) for _ in range(known.runs - 1)] if again else []
    bench.measured("kvm_selftests", time.monotonic() - start)
    bench.add(expected.settle(judged, more, known))


def _cases(bench: Bench, todo: Sequence[Program]) -> tuple[Case, ...]:
    """Run them in the lab host, one after another."""
    done = 0

    def watch(line: str) -> None:
        nonlocal done
        if (name := programs.begun(line)) is not None:
            done += 1
            bench.say(f"{name} ({done}/{len(todo)})")

    argv = ("sh", "-c", programs.script(todo))
    try:
        _, output = bench.open_host(_HOST_CPUS).run_command(
            argv, cwd=Path("/"), timeout_s=WORKLOAD.deadline_s, on_output=watch
        )
    except CommandTimeout as late:
        if late.starved:
            raise
        output = late.output
    return programs.read(output.splitlines(), todo)


WORKLOAD = Workload(
    "kvm_selftests",
    _run,
    "the tree's KVM does what the tree's own KVM selftests ask of it",
    deadline_s=600.0,
)
