# SPDX-License-Identifier: GPL-2.0-only
"""Where the payloads of a suite run: on the halves of this checkout."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import hosts
from kvm.run.boot import Place
from kvm.run.halves import Halves
from kvm.run.payload.options import PayloadOptions
from kvm.run.payload.run import open_host, run_built
from kvm.run.payload.suite.run import check_interrupted, read_files
from kvm.run.record import RunRecord


@dataclass(slots=True)
class HereBench:
    """Payloads in the lab host of this checkout, or on this machine's KVM; see ``run.Bench``.

    Each has a folder of its own in the suite's.
    """

    project: Project
    halves: Halves
    host: str
    folder: Path
    progress: Progress
    memory: hosts.Memory = field(default_factory=hosts.Memory)

    def payload(self, options: PayloadOptions, name: str) -> RunRecord:
        place = Place(self.folder / name, memory=self.memory)
        place.run_dir.mkdir()
        with Progress(io.StringIO(), live=False) as quiet:
            record = run_built(self.project, self.halves, options, quiet, lambda _: None, place)
        return check_interrupted(record)

    def host_files(self, paths: Sequence[Path]) -> Mapping[Path, str]:
        place = Place(self.folder, memory=self.memory)
        host = open_host(self.project, self.host, self.halves, self.progress, place)
        try:
            return read_files(host, paths)
        finally:
            host.close()
