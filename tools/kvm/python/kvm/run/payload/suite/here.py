# SPDX-License-Identifier: GPL-2.0-only
"""Runs the payloads of a suite on the halves of this checkout."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import hosts
from kvm.run.halves import Halves
from kvm.run.payload.options import PayloadOptions
from kvm.run.payload.run import open_host, run_built
from kvm.run.payload.suite.run import check_interrupted, read_files
from kvm.run.record import RunRecord
from kvm.run.spine import RunSite


@dataclass(slots=True)
class HereBench:
    """Runs payloads in the lab host of this checkout, or on this machine's KVM; see ``run.Bench``.

    Each has its own folder in the suite's.
    """

    project: Project
    halves: Halves
    host: str
    folder: Path
    progress: Progress
    notes: hosts.HostNotes = field(default_factory=hosts.HostNotes)

    def payload(self, options: PayloadOptions, name: str) -> RunRecord:
        site = RunSite(self.folder / name, notes=self.notes)
        site.run_dir.mkdir()
        with Progress(io.StringIO(), live=False) as quiet:
            record = run_built(self.project, self.halves, options, quiet, lambda _: None, site)
        return check_interrupted(record)

    def host_files(self, paths: Sequence[Path]) -> Mapping[Path, str]:
        site = RunSite(self.folder, notes=self.notes)
        host = open_host(self.project, self.host, self.halves, self.progress, site)
        try:
            return read_files(host, paths)
        finally:
            host.close()
