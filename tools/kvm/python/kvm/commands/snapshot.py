# SPDX-License-Identifier: GPL-2.0-only
"""The ``snapshot`` commands: save a booted machine by name, list those there are, drop one."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from kvm.commands import boot
from kvm.commands.words import Showing, SnapshotWords
from kvm.errors import usage
from kvm.output import targets
from kvm.output.progress import Progress
from kvm.output.words import clean
from kvm.project import Project
from kvm.run import snapshots
from kvm.run.extras import RunExtras
from kvm.run.options import BootOptions
from kvm.run.snapshots import Snapshot
from kvm.verdict.vocabulary import EXIT_GOOD

_BLOCK = 512  # bytes, of st_blocks


def make(project: Project, progress: Progress, options: BootOptions, words: SnapshotWords) -> int:
    """Boot a machine, run the command in it, save it, and let a first clone prove it."""
    with usage():
        options.check()
        machine = snapshots.of_options(words.name, options)

    def show(stream: str, data: bytes) -> None:
        progress.pause()
        target = sys.stderr if stream == "stderr" or words.json == targets.STDOUT else sys.stdout
        target.buffer.write(data)
        target.flush()

    machine = replace(machine, on_output=show)
    found = snapshots.described(words.name, options, machine)
    extras = RunExtras(stdin=b"", machine=machine, repeat=found.words)
    showing = Showing(json=words.json, verbose=words.verbose)
    proof = replace(options, command=(), host="lab")
    record, code = boot.boot_and_tell(project, proof, progress, showing, extras)
    if code == EXIT_GOOD and record.cloned:
        found.of(record).keep(project)
        print(f"./invoke boot --from {words.name} -- COMMAND goes on from it", file=sys.stderr)
    return code


def show_all(project: Project, json_target: str) -> None:
    """List the snapshots, and whether their lab hosts are still in the cache."""
    found = [_facts(project, one) for one in snapshots.all_of(project)]
    if json_target:
        targets.put(json_target, json.dumps({"snapshots": found}, indent=2) + "\n")
        return
    for one in found:
        state = f"{one['mib']} MiB" if one["saved"] else "pruned from the cache"
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(one["made"]))
        print(clean(f"{one['name']:20} {one['kernel']}  {made}  {state}  {one['again']}"))
    if not found:
        print("there is no snapshot; ./invoke snapshot NAME makes one")


def drop(project: Project, name: str) -> None:
    """Remove a snapshot and its lab host. Raises ``UserError`` if there is none."""
    with usage():
        snapshots.drop(project, name)


def _facts(project: Project, one: Snapshot) -> dict[str, Any]:
    saved = one.saved(project)
    return {
        "name": one.name,
        "kernel": one.kernel,
        "kernel_id": one.kernel_id,
        "vmm": one.vmm_id,
        "command": list(one.command),
        "again": f"./invoke {one.words}",
        "made": one.made,
        "saved": saved is not None,
        "mib": _mib(saved) if saved is not None else 0,
    }


def _mib(folder: Path) -> int:
    """The room that its files take; most of the memory is holes."""
    return sum(path.stat().st_blocks * _BLOCK for path in folder.iterdir()) >> 20
