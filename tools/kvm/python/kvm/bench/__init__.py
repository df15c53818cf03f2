# SPDX-License-Identifier: GPL-2.0-only
"""Speed as ratios against a peer measured in the same run, never as absolute times."""

from __future__ import annotations

from kvm.bench import boot, events
from kvm.errors import UserError
from kvm.project import Project
from kvm.report.live import Progress

_BENCHES = {"boot": boot.report, "events": events.report}


def run(what: str, project: Project, progress: Progress, *, runs: int, json_target: str) -> str:
    """Run the named comparison; its table, or its JSON for ``-``."""
    if what not in _BENCHES:
        raise UserError(f"there is no bench {what!r}", f"known: {', '.join(_BENCHES)}")
    return _BENCHES[what](project, progress, runs=runs, json_target=json_target)
