# SPDX-License-Identifier: GPL-2.0-only
"""The results of a bisection, a JSON line at a time: nothing is lost however it ends.

There are four kinds of lines: a run of the test on a build (by its ids), what a commit's halves
were built to, that they can't be built, and how long a step took. A line that a kill cut short
is dropped when the journal is read again.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kvm.bisect.model import Run


@dataclass(slots=True)
class Journal:
    """``builds`` and ``broken`` are by what is built, ``runs`` by what was run."""

    path: Path
    runs: dict[str, list[Run]] = field(default_factory=dict)
    builds: dict[str, dict[str, Any]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)  # commit → seconds

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Read the existing file, if any; the first ``add`` creates it."""
        journal = cls(path)
        with contextlib.suppress(FileNotFoundError):
            whole, _, rest = path.read_bytes().rpartition(b"\n")
            if rest:  # cut short
                os.truncate(path, len(whole) + 1 if whole else 0)
            for line in whole.splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    journal._take(json.loads(line))
        return journal

    def add_run(self, key: str, run: Run) -> None:
        self._add({"run": key, **run.to_json()})

    def add_build(self, key: str, built: Mapping[str, Any]) -> None:
        self._add({"build": key, "built": dict(built)})

    def add_broken(self, key: str, why: str) -> None:
        self._add({"broken": key, "why": why})

    def add_step(self, commit: str, seconds: float) -> None:
        self._add({"step": commit, "seconds": round(seconds, 2)})

    def _add(self, record: dict[str, Any]) -> None:
        self._take(record)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(json.dumps(record).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _take(self, record: Mapping[str, Any]) -> None:
        if "run" in record:
            self.runs.setdefault(record["run"], []).append(Run.from_json(record))
        elif "build" in record:
            self.builds[record["build"]] = record["built"]
        elif "broken" in record:
            self.broken[record["broken"]] = record["why"]
        elif "step" in record:
            self.steps[record["step"]] = record["seconds"]
