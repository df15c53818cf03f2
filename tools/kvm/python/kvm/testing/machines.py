# SPDX-License-Identifier: GPL-2.0-only
"""The machines of one pytest process: built once a kernel, saved once a shape, a clone a test."""

from __future__ import annotations

import io
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

_CLONE = "clone"
# They say how a command shows its result, or what it runs.
_NOT_OF_A_TEST = frozenset({"shell", "stdin", "from"})


@dataclass(frozen=True, slots=True)
class Machine:
    """A guest, and the folder that its run leaves behind."""

    guest: LiveGuest
    run_dir: Path

    def end(self) -> str:
        """Let it power off; what was wrong with it and was not told yet, or empty."""
        if self.guest.ended_early:
            return ""
        try:
            record = self.guest.end()
        except UserError as trouble:
            return str(trouble)
        return "" if record.outcome.ok else closing(record)


class Machines:
    """Starts them, with kernels that are built at the first use."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._project = Project.find()
        self._built: dict[tuple[str, tuple[str, ...]], Halves] = {}
        self._notes = HostNotes()

    def start(self, words: Mapping[str, Any]) -> Machine:
        """A machine with these options. Raises ``UserError``."""
        words = dict(words)
        clone = bool(words.pop(_CLONE, True))
        chosen = _options(words)
        built = self._build(chosen)
        saved = BootedMachine() if clone and snapshots.fit(chosen) else None
        run_dir = rundir.create(self._project.runs)
        site = RunSite(run_dir, notes=self._notes)

        def boot(commands: Commands) -> RunRecord:
            extras = RunExtras(machine=saved, live=commands, started=commands.started)
            with Progress(io.StringIO(), live=False) as progress:
                return boot_built(
                    self._project, built, chosen, progress, commands.streams, site, extras
                )

        try:
            return Machine(LiveGuest(boot), run_dir)
        except MachineEnded as ended:
            raise UserError(str(ended), f"its console is in {run_dir}") from ended

    def _build(self, chosen: BootOptions) -> Halves:
        kind = chosen.config, chosen.items
        if kind not in self._built:
            capture = self._config.pluginmanager.getplugin("capturemanager")
            with capture.global_and_fixture_disabled(), Progress() as progress:
                self._built[kind] = halves.build(
                    self._project, progress, config=chosen.config, items=chosen.items
                )
        return self._built[kind]


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
