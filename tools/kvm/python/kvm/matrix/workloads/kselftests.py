# SPDX-License-Identifier: GPL-2.0-only
"""Some of the tree's selftests in a guest: what userspace needs from a kernel and its CPU.

They are static programs that suit a guest with busybox and no modules, network or second user.
``tests/matrix/expected/kselftests.toml`` lists those that can't pass there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kvm.errors import UserError
from kvm.guest.initramfs import ExtraFile
from kvm.kernel import headers, selftests, tree
from kvm.matrix import programs
from kvm.matrix.programs import Program
from kvm.matrix.workload import Bench, Workload
from kvm.verdict import expected

_FOLDER = "/selftests"
_LIMIT_S = 20
_MEMORY_MIB = 512
# Suite → programs; a suite is a folder of tools/testing/selftests. Left out: tests for which the
# image lacks something (namespaces, 32-bit calls, ioperm); those that take tens of seconds under
# emulation; those that expect a thread to start within 10 ms (futex_wait, futex_requeue,
# futex_waitv); and those that QEMU's emulation does not survive: a far return to user mode
# (x86/sysret_ss_attrs), and hundreds of watchpoints in an emulated guest (breakpoints).
PROGRAMS: dict[str, Sequence[str]] = {
    "core": ("close_range_test", "unshare_test"),
    "futex/functional": (
        "futex_requeue_pi_mismatched_ops",
        "futex_requeue_pi_signal_restart",
        "futex_wait_timeout",
        "futex_wait_wouldblock",
    ),
    "membarrier": ("membarrier_test_single_thread", "membarrier_test_multi_thread"),
    "memfd": ("memfd_test",),
    "mincore": ("mincore_selftest",),
    "pidfd": ("pidfd_wait", "pidfd_open_test"),
    "proc": ("fd-002-posix-eq", "proc-self-syscall", "proc-tid0", "proc-uptime-001", "read"),
    "ptrace": ("get_syscall_info", "peeksiginfo"),
    "sigaltstack": ("sas",),
    "size": ("get_size",),
    "vDSO": ("vdso_test_abi", "vdso_test_getcpu", "vdso_test_gettimeofday"),
    "x86": (
        "corrupt_xstate_header_64",
        "nx_stack_64",
        "sigreturn_64",
        "sigtrap_loop_64",
        "single_step_syscall_64",
        "syscall_nt_64",
        "sysret_rip_64",
        "test_mremap_vdso_64",
    ),
}


def plan() -> tuple[Program, ...]:
    """The programs to run, by their paths in the guest."""
    return tuple(
        Program(f"{suite}:{name}", (f"{_FOLDER}/{suite}/{name}",), _LIMIT_S)
        for suite, names in PROGRAMS.items()
        for name in names
    )


def files(folder: Path) -> tuple[ExtraFile, ...]:
    """The programs in ``folder``, each with the path that ``plan`` expects."""
    return tuple(
        ExtraFile(folder / suite / name, f"{_FOLDER}/{suite}/{name}")
        for suite, names in PROGRAMS.items()
        for name in names
    )


def _run(bench: Bench) -> None:
    uapi = headers.installed(bench.project)
    if uapi is None:
        raise UserError("the tree's UAPI headers are not installed", "run ./invoke build first")
    known = expected.load(bench.project, "kselftests")
    source_tree = tree.locate(bench.project)
    folder = selftests.build_kselftests(bench.project, source_tree, uapi, PROGRAMS, bench.say)
    todo = plan()
    script = bench.folder / "kselftests.sh"
    script.write_text(programs.script(todo, alone=True))
    boot = bench.boot(
        "sh",
        f"{_FOLDER}/run",
        files=(*files(folder), ExtraFile(script, f"{_FOLDER}/run")),
        memory_mib=max(_MEMORY_MIB, bench.cell.memory_mib),
        quiet_s=_LIMIT_S + 10.0,
    )
    bench.measured("kselftests", boot.seconds)
    bench.add(expected.apply(programs.read(boot.text.splitlines(), todo), known))


WORKLOAD = Workload(
    "kselftests",
    _run,
    "a guest's kernel does what the tree's selftests ask of it",
    deadline_s=300.0,
)
