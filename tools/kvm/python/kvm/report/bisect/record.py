# SPDX-License-Identifier: GPL-2.0-only
"""A bisection as one JSON object, for scripts. Pure.

``schema`` grows when a field changes its meaning or is removed; new fields may appear without that.

- ``status``: "found", or "range" if only commits that can't tell were left. Then ``first_bad``
  is null and ``candidates`` has those commits, oldest first (else it is []).
- ``first_bad``: {id, subject, author, date, halves, fixes}; ``fixes`` is the tag, null if the
  search was for a fix (``fix``), where ``first_bad`` is the commit that fixed the failure.
  ``good``, ``bad`` and ``candidates`` are such commits too, without ``fixes``.
- ``culprit``: as in KCIDB's issues. ``code``: the kernel takes part in the failure; ``tool``:
  the VMM, which runs the kernel, does. Both are true for an interaction, and if either half
  suffices; both are false if blame is unknown. ``harness`` is always false: trouble of the
  surroundings is retried or skipped, and makes no step bad.
- ``blame``: {label, words, parts, patch, table}, or null if it was not requested. A row of
  ``table`` names in ``changed`` what came from the failing commit, and has a decision's fields.
- A decision: {mark, why, bad_runs, good_runs, kernel, vmm, seconds, reused}. ``steps`` have one
  each, with their ``commit``, how many commits were ``left`` then, and their place ``at``
  (how many commits they have that the good end lacks; null if unknown).
- ``failure``: {reason, signature, summary, rate, steady}; ``log`` is git's, for
  ``git bisect replay``; ``repeat`` is the command that shows the failure again.
"""

from __future__ import annotations

import json
from typing import Any

from kvm.bisect.model import Axis, Blame, Commit, Decision, Failure, Label, Report, Step
from kvm.report.bisect import sentences

SCHEMA_VERSION = 1

_CODE = (Label.KERNEL, Label.INTERACTION, Label.EITHER)
_TOOL = (Label.VMM, Label.INTERACTION, Label.EITHER)


def record(report: Report) -> dict[str, Any]:
    """The whole report as an object."""
    return {
        "schema": SCHEMA_VERSION,
        "status": sentences.status(report),
        "fix": report.fix,
        "test": report.test,
        "command": report.command,
        "started": round(report.started, 3),
        "good": _commit(report.good),
        "bad": _commit(report.bad),
        "commits": report.commits or None,
        "first_bad": _first_bad(report),
        "candidates": [_commit(commit) for commit in report.candidates],
        "culprit": culprit(report.blame),
        "blame": _blame(report.blame) if report.blame is not None else None,
        "failure": _failure(report.failure),
        "confidence": report.confidence,
        "steps": [_step(step) for step in report.steps],
        "timings_s": {
            "total": round(report.seconds, 3),
            "median_step": round(sentences.median_step(report), 3),
        },
        "built": {"kernels": report.kernels_built, "vmms": report.vmms_built},
        "reused": report.reused,
        "log": report.log,
        "repeat": report.repeat,
    }


def json_text(report: Report) -> str:
    return json.dumps(record(report), indent=2) + "\n"


def culprit(blame: Blame | None) -> dict[str, bool]:
    """The culprit in KCIDB's terms."""
    label = blame.label if blame is not None else Label.UNKNOWN
    return {"code": label in _CODE, "tool": label in _TOOL, "harness": False}


def _first_bad(report: Report) -> dict[str, Any] | None:
    if report.first_bad is None:
        return None
    fixes = None if report.fix else report.first_bad.fixes
    return {**_commit(report.first_bad), "fixes": fixes}


def _commit(commit: Commit) -> dict[str, Any]:
    return {
        "id": commit.id,
        "subject": commit.subject,
        "author": commit.author,
        "date": commit.date,
        "halves": list(commit.halves),
    }


def _blame(blame: Blame) -> dict[str, Any]:
    return {
        "label": blame.label.value,
        "words": blame.words,
        "parts": _axes(blame.parts),
        "patch": blame.patch,
        "table": [
            {"changed": _axes(result.changed), **_decision(result.decision)}
            for result in blame.table
        ],
    }


def _axes(axes: frozenset[Axis] | tuple[Axis, ...]) -> list[str]:
    return [axis.value for axis in Axis if axis in axes]


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "reason": failure.reason.value,
        "signature": failure.signature,
        "summary": failure.summary,
        "rate": failure.rate,
        "steady": failure.steady,
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "commit": _commit(step.commit),
        **_decision(step.decision),
        "left": step.left,
        "at": step.at or None,
    }


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "mark": decision.mark.value,
        "why": decision.why,
        "bad_runs": decision.bad,
        "good_runs": decision.good,
        "kernel": decision.kernel,
        "vmm": decision.vmm,
        "seconds": decision.seconds,
        "reused": decision.reused,
    }
