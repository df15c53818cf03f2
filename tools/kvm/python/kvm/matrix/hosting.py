# SPDX-License-Identifier: GPL-2.0-only
"""A cell's lab host, a worker's slot, and how many workers fit into this machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from kvm.errors import UserError
from kvm.host.lab_machine import LabSettings
from kvm.lock import locked
from kvm.project import Project

# QEMU's own memory beside its guest's, and the rest of this machine's needs.
_OVERHEAD_MIB = 512
_RESERVE_MIB = 1024
# The config of the lab host's kernel, by the host axis' value.
LAB_CONFIGS = {"lab": "default", "lab_debug": "debug"}


def configs_of(host: str, config: str) -> tuple[str, ...]:
    """The kernel configs that a cell needs: its guest's and its lab host's."""
    return tuple(dict.fromkeys((config, LAB_CONFIGS.get(host, "default"))))


def workers_that_fit(wanted: int, *, available_mib: int | None = None) -> int:
    """How many workers, each with a lab host, fit into cores and free memory.

    ``wanted`` of 0 lets this function choose. Raises ``UserError`` if not even one fits, or if
    the memory is too small for the wanted number.
    """
    free_mib = _available_mib() if available_mib is None else available_mib
    each_mib = LabSettings().memory_mib + _OVERHEAD_MIB
    fit = (free_mib - _RESERVE_MIB) // each_mib
    if fit < max(wanted, 1):
        raise UserError(
            f"{free_mib} MiB of memory are free, {max(wanted, 1)} lab hosts need "
            f"{max(wanted, 1) * each_mib + _RESERVE_MIB}",
            f"end something, or ask for -n {fit}" if fit > 0 else "end something that uses it",
        )
    return wanted or max(1, min(fit, os.cpu_count() or 1))


def host_cpus(workers: int, *, cores: int | None = None) -> int:
    """How many CPUs each of these lab hosts has: its share of the cores, at most two.

    If more of them run than there are cores, one spins for another that has no core to run on, and
    the same cells take half as much CPU time again.
    """
    have = cores if cores is not None else os.cpu_count() or 1
    return min(LabSettings().cpus, max(1, have // workers))


@contextlib.contextmanager
def own_slot(project: Project, count: int) -> Iterator[str]:
    """A lab host slot for this process alone, until it ends in whatever way.

    A worker that replaces a killed one takes its slot.
    """
    # One more than there are workers: a killed one may need a moment to end.
    for number in range(count + 1):
        name = f"matrix{number}"
        with contextlib.ExitStack() as stack:
            try:
                lock = project.build / "lab" / name / "worker"
                stack.enter_context(locked(lock, "a matrix worker", wait_s=0, say=lambda _: None))
            except UserError:
                continue
            yield name
            return
    raise UserError(f"all {count + 1} lab host slots are in use", "end the other matrix run")


def _available_mib() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    raise UserError("/proc/meminfo has no MemAvailable", "give -n")
