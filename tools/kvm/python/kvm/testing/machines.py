# SPDX-License-Identifier: GPL-2.0-only
"""The machines of one pytest process: built once a kernel, booted and saved once a shape.

A test gets a clone. When it is done, and neither kernel has complained meanwhile, its machine is
put back to where it was, and serves the next test of that shape. Otherwise it is ended, and judged.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kvm.errors import UserError
from kvm.host.snapshot import BootedMachine
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.report.closing import closing
from kvm.run import halves, rundir, snapshots
from kvm.run.boot import boot_built
from kvm.run.extras import RunExtras
from kvm.run.halves import Halves
from kvm.run.hosts import HostNotes
from kvm.run.live import Commands, LiveGuest, MachineEnded
from kvm.run.options import BootOptions
from kvm.run.record import RunRecord
from kvm.run.spine import RunSite
from kvm.spec.fields import Option, options, read

_CLONE, _REWIND = "clone", "rewind"
# They say how a command shows its result, or what it runs.
_NOT_OF_A_TEST = frozenset({"shell", "stdin", "from"})
# A rewind looks like a pause to the guest; it shall not become a long one.
_OLDEST_S = 300.0


@dataclass(frozen=True, slots=True)
class Machine:
    """A guest, the folder that its run leaves behind, and when it began.

    ``shape`` are the words that it was made with, if it may serve other tests with these.
    """

    guest: LiveGuest
    run_dir: Path
    begun: float
    shape: str = ""


class Machines:
    """Starts them, with kernels that are built at the first use."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._project = Project.find()
        self._built: dict[tuple[str, tuple[str, ...]], Halves] = {}
        self._spare: Machine | None = None  # at most one: each has a lab host of 2 GiB
        self._complaints: list[str] = []
        self._notes = HostNotes()
        self._slot = f"pytest-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"

    def take(self, words: Mapping[str, Any]) -> Machine:
        """A machine with these options. Raises ``UserError``."""
        spare, self._spare = self._spare, None
        if spare is not None and spare.shape == _shape(words):
            return spare
        if spare is not None and (complaint := _end(spare)):
            self._complaints.append(complaint)
        return self._start(dict(words))

    def give_back(self, machine: Machine) -> str:
        """A test is done with it; what was wrong with it and was not told yet, or empty."""
        young = time.monotonic() - machine.begun < _OLDEST_S
        if machine.shape and young and machine.guest.rewind():
            self._spare = machine
            return ""
        return _end(machine)

    def close(self) -> str:
        """End the one that is left; what was wrong with machines between two tests, or empty."""
        if self._spare is not None:
            self._complaints.append(_end(self._spare))
            self._spare = None
        return "\n".join(filter(None, self._complaints))

    def _start(self, words: dict[str, Any]) -> Machine:
        shape = _shape(words)
        clone, rewind = bool(words.pop(_CLONE, True)), bool(words.pop(_REWIND, True))
        chosen = _options(words)
        built = self._build(chosen)
        saved = BootedMachine() if clone and snapshots.fit(chosen) else None
        rewindable = saved is not None and rewind and _can_be_rewound(chosen)
        run_dir = rundir.create(self._project.runs)

        def boot(commands: Commands) -> RunRecord:
            extras = RunExtras(
                machine=saved,
                live=commands,
                started=commands.started,
                hosted=commands.hosted,
                rewindable=rewindable,
            )
            with Progress(io.StringIO(), live=False) as progress:
                return boot_built(
                    self._project,
                    built,
                    chosen,
                    progress,
                    commands.streams,
                    RunSite(run_dir, self._slot, notes=self._notes),
                    extras,
                )

        try:
            guest = LiveGuest(boot)
        except MachineEnded as ended:
            raise UserError(str(ended), f"its console is in {run_dir}") from ended
        if rewindable and guest.checkpoint():
            shape = ""
        return Machine(guest, run_dir, time.monotonic(), shape if rewindable else "")

    def _build(self, chosen: BootOptions) -> Halves:
        kind = chosen.config, chosen.items
        if kind not in self._built:
            capture = self._config.pluginmanager.getplugin("capturemanager")
            with capture.global_and_fixture_disabled(), Progress() as progress:
                self._built[kind] = halves.build(
                    self._project, progress, config=chosen.config, items=chosen.items
                )
        return self._built[kind]


def _end(machine: Machine) -> str:
    """Let it power off; what was wrong with it and was not told yet, or empty."""
    if machine.guest.ended_early:
        return ""
    try:
        record = machine.guest.end()
    except UserError as trouble:
        return str(trouble)
    return "" if record.outcome.ok else closing(record)


def _can_be_rewound(chosen: BootOptions) -> bool:
    """Whether the VMM can put this machine back (``machine/rewind.cpp``)."""
    nests = "+svm" in chosen.cpu or "+vmx" in chosen.cpu
    others = chosen.hugepages or chosen.split_irqchip or chosen.balloon_mib is not None
    others = others or bool(chosen.nets)
    return not nests and not others


def _shape(words: Mapping[str, Any]) -> str:
    return repr(sorted(words.items()))


def _options(words: Mapping[str, Any]) -> BootOptions:
    """Raises ``UserError`` naming a wrong word."""
    known = {one.name: one for one in options(BootOptions).values()}
    for name in words:
        if name not in known or name in _NOT_OF_A_TEST:
            raise UserError(
                f"@pytest.mark.machine({name}=...)",
                "use options of ./invoke boot, with _ for -, such as cpus=2 or memory='512M'",
            )
    typed = {name: _typed(known[name], value) for name, value in words.items()}
    return read(BootOptions, {**typed, "stdin": False}).check()


def _typed(one: Option, value: Any) -> Any:
    """The value as it would have been typed."""
    if one.kind is list:
        return [value] if isinstance(value, str) else [str(item) for item in value]
    return one.kind(value)
