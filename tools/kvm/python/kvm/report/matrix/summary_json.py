# SPDX-License-Identifier: GPL-2.0-only
"""The run as one JSON object, for scripts. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from kvm.report.matrix.view import counts, total_seconds
from kvm.results.history import Change
from kvm.results.model import CellResult, MatrixRun
from kvm.verdict.vocabulary import Verdict

SCHEMA_VERSION = 1


def summary(
    run: MatrixRun, cells: Mapping[str, CellResult], changes: Iterable[Change] = ()
) -> dict[str, Any]:
    """``cells`` is how many have a result, ``planned`` how many should have one."""
    found = counts(cells)
    return {
        "schema": SCHEMA_VERSION,
        "run": run.number,
        "started": round(run.started, 3),
        "ended": None if run.ended is None else round(run.ended, 3),
        "interrupted": run.interrupted,
        "subset": run.subset,
        "command": run.command,
        "commit": run.commit,
        "vmm_id": run.vmm_id,
        "kernels": dict(run.kernels),
        "planned": len(run.planned),
        "cells": len(cells),
        "passed": found.get(Verdict.PASS, 0),
        "failed": found.get(Verdict.FAIL, 0),
        "flaky": found.get(Verdict.FLAKY, 0),
        "error": found.get(Verdict.ERROR, 0),
        "skipped": found.get(Verdict.SKIP, 0),
        "timings_s": {"total": round(total_seconds(run, cells), 3)},
        "not_run": [cell for cell in run.planned if cell not in cells],
        "changes": [change.to_json() for change in changes],
        "results": [result.to_json() for result in cells.values()],
    }


def summary_text(
    run: MatrixRun, cells: Mapping[str, CellResult], changes: Iterable[Change] = ()
) -> str:
    return json.dumps(summary(run, cells, changes), indent=2) + "\n"
