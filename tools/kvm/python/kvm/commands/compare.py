# SPDX-License-Identifier: GPL-2.0-only
"""Boots the checkout as it is and at a revision, alternately, and compares the boots.

Each side is built and booted by its own ``invoke boot``, in its own lab host. A first boot of each
builds, starts the lab host, and is not counted.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

from kvm import process
from kvm.errors import UserError
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.report.timeline.compare import Comparison, compare
from kvm.run import revision as revisions
from kvm.run.options import BootOptions

_RUNS = 7
_DEADLINE_S = 3600.0
_TAIL_LINES = 12

Record = dict[str, Any]


def against_revision(
    project: Project, options: BootOptions, revision: str, progress: Progress
) -> Comparison:
    """Compare medians of several boots of each. Raises ``UserError`` if one does not boot."""
    commit = revisions.resolve(project, revision)
    with progress.phase("compare") as say:
        before = revisions.checkout(project, commit, say)
        sides: dict[str, tuple[Project, list[Record]]] = {
            revision: (before, []),
            "now": (project, []),
        }
        for number in range(_RUNS + 1):
            for name, (side, records) in sides.items():
                say(f"{name}: boot {number} of {_RUNS}" if number else f"{name}: build and boot")
                record = _boot(side, options, name)
                if number:
                    records.append(record)
        _stop_lab(before)
    return compare(sides[revision][1], sides["now"][1])


def _boot(side: Project, options: BootOptions, name: str) -> Record:
    answer = side.build / "compare.json"
    answer.parent.mkdir(parents=True, exist_ok=True)
    answer.unlink(missing_ok=True)
    words = ("boot", "--json", str(answer), *shlex.split(options.arguments()))
    done = process.run(
        (sys.executable, "-m", "invoke", *words),
        cwd=side.root,
        env=_environment(side),
        check=False,
        timeout_s=_DEADLINE_S,
    )
    record = _read(answer)
    if record is None or record["verdict"] != "PASS":
        said = "\n".join(done.output.splitlines()[-_TAIL_LINES:])
        raise UserError(f"{name} does not boot:\n{said}", "compare revisions that boot")
    return record


def _stop_lab(side: Project) -> None:
    process.run(
        (sys.executable, "-m", "invoke", "lab.stop"),
        cwd=side.root,
        env=_environment(side),
        check=False,
        timeout_s=_DEADLINE_S,
    )


def _environment(side: Project) -> dict[str, str]:
    return {"PYTHONPATH": str(side.root / "tools" / "kvm" / "python")}


def _read(answer: Path) -> Record | None:
    try:
        record = json.loads(answer.read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None
