# SPDX-License-Identifier: GPL-2.0-only
"""``invoke bench WHAT``: which comparisons there are."""

from __future__ import annotations

from kvm.bench import boot, devices, events, memory
from kvm.errors import UserError
from kvm.project import Project
from kvm.report.live import Progress

_BENCHES = {
    "boot": boot.report,
    "events": events.report,
    "devices": devices.report,
    "memory": memory.report,
}


def run(what: str, project: Project, progress: Progress, *, runs: int, json_target: str) -> str:
    """Run the named comparison; its table, or its JSON for ``-``."""
    if what not in _BENCHES:
        raise UserError(f"there is no bench {what!r}", f"known: {', '.join(_BENCHES)}")
    if runs < 1:
        raise UserError(f"--runs {runs}", "give at least 1, better 7 or more")
    return _BENCHES[what](project, progress, runs=runs, json_target=json_target)
