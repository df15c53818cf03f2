# SPDX-License-Identifier: GPL-2.0-only
"""A bisection's folder, ``build/bisect/sessions/NUMBER``: its request, journal, runs and report.

One without a report was interrupted, and can be resumed.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvm.bisect.journal import Journal
from kvm.bisect.request import Request
from kvm.errors import UserError
from kvm.files import write_whole
from kvm.project import Project

_KEPT = 12


@dataclass(frozen=True, slots=True)
class Session:
    """``ends`` are full ids, because branches may move before it is resumed."""

    folder: Path
    request: Request
    ends: tuple[str, str]
    command: str
    started: float

    @classmethod
    def begin(
        cls, project: Project, request: Request, ends: tuple[str, str], command: str
    ) -> Session:
        """Make a new one; the oldest are removed."""
        parent = project.build / "bisect" / "sessions"
        parent.mkdir(parents=True, exist_ok=True)
        numbers = _numbers(parent)
        for old in numbers[: -(_KEPT - 1)]:
            shutil.rmtree(parent / str(old), ignore_errors=True)
        folder = parent / str(max(numbers, default=0) + 1)
        folder.mkdir()
        session = cls(folder, request, ends, command, round(time.time(), 1))
        write_whole(folder / "request.json", json.dumps(session._record(), indent=1) + "\n")
        return session

    @classmethod
    def unfinished(cls, project: Project) -> Session:
        """The newest one without a report. Raises ``UserError`` if there is none."""
        parent = project.build / "bisect" / "sessions"
        for number in reversed(_numbers(parent) if parent.is_dir() else []):
            folder = parent / str(number)
            if (folder / "report.json").exists():
                break
            try:
                record = json.loads((folder / "request.json").read_text())
                return cls(
                    folder,
                    Request.from_json(record["request"]),
                    (record["ends"][0], record["ends"][1]),
                    record["command"],
                    record["started"],
                )
            except (OSError, ValueError, KeyError, TypeError):
                continue  # killed before its record was written
        raise UserError("no interrupted bisection to go on with", "leave out --resume")

    def journal(self) -> Journal:
        return Journal.open(self.folder / "journal.jsonl")

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    def _record(self) -> dict[str, Any]:
        return {
            "request": self.request.to_json(),
            "ends": list(self.ends),
            "command": self.command,
            "started": self.started,
        }


def _numbers(parent: Path) -> list[int]:
    return sorted(int(path.name) for path in parent.iterdir() if path.name.isdigit())
