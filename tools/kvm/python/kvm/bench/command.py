# SPDX-License-Identifier: GPL-2.0-only
"""``invoke bench WHAT``: which comparisons there are."""

from __future__ import annotations

from kvm.bench import boot, devices, events, memory, payloads
from kvm.errors import UserError
from kvm.project import Project
from kvm.report.live import Progress

_BENCHES = {
    "boot": boot.report,
    "events": events.report,
    "devices": devices.report,
    "memory": memory.report,
}


_PAYLOADS = "payloads"  # is not about speed: it has no runs, but a suite


def run(
    what: str,
    project: Project,
    progress: Progress,
    *,
    runs: int,
    json_target: str,
    suite: str = "",
    names: str = "",
) -> str:
    """Run the named comparison; its table, or its JSON for ``-``."""
    if what not in (*_BENCHES, _PAYLOADS):
        raise UserError(
            f"there is no bench {what!r}", f"known: {', '.join((*_BENCHES, _PAYLOADS))}"
        )
    if what == _PAYLOADS and suite:
        return payloads.report(project, progress, suite=suite, names=names, json_target=json_target)
    if what == _PAYLOADS or suite or names:
        raise UserError(
            "bench payloads needs --suite" if not suite else f"--suite with bench {what}",
            "write ./invoke bench payloads --suite FOLDER [-k NAME,...]",
        )
    if runs < 1:
        raise UserError(f"--runs {runs}", "give at least 1, better 7 or more")
    return _BENCHES[what](project, progress, runs=runs, json_target=json_target)
