# SPDX-License-Identifier: GPL-2.0-only
"""A guest's text never controls the terminal of a user who reads a verdict."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from invoke.exceptions import Exit

from kvm.cli import call
from kvm.control import report as control_report
from kvm.errors import BuildError, UserError
from kvm.matrix.live import LiveDisplay, PlainDisplay, failure_text, result_line
from kvm.output.progress import Progress
from kvm.report import payload_suite as suite_report
from kvm.report.closing import closing
from kvm.results.model import CellResult
from kvm.run.record import GuestFacts, KernelFacts, RunRecord
from kvm.verdict.ktap import Case, Status
from kvm.verdict.vocabulary import Evidence, Outcome, Reason, Verdict

# Clears the screen, sets the title, overwrites the line, beeps, reverses text; 8-bit CSI too.
HOSTILE = "a\x1b[2Jb\x1b]0;title\x07c\rd\x00e\x08f\x9b2Jg\u202eh\x7fi"
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

OUTCOME = Outcome(
    Verdict.FAIL,
    Reason.KERNEL_WARNING,
    HOSTILE,
    (Evidence("console", (HOSTILE, HOSTILE)),),
    HOSTILE,
)
RECORD = RunRecord(
    outcome=OUTCOME,
    host="lab",
    exit_code=1,
    kernel=KernelFacts(release=HOSTILE),
    guest=GuestFacts(stdout=HOSTILE),
    run_dir=Path("build/runs/1"),
)
RESULT = CellResult(
    "lab-a",
    {},
    Verdict.FAIL,
    Reason.CHECK_FAILED,
    HOSTILE,
    evidence=OUTCOME.evidence,
    repeat=HOSTILE,
)


def _plain_line() -> str:
    out = io.StringIO()
    PlainDisplay(1, out).ended(RESULT)
    return out.getvalue()


def _notes() -> str:
    out = io.StringIO()
    with Progress(out, live=False, heartbeat_s=0.0) as progress:
        progress.note(HOSTILE)
        with progress.phase("boot") as say:
            say(HOSTILE)
            progress.tick()
    return out.getvalue()


def _error(error: Exception) -> str:
    with pytest.raises(Exit) as ended, call.command():
        raise error
    return str(ended.value.message)


def _listing() -> str:
    options = SimpleNamespace(
        vcpus=1, memory_mib=1, timeout_s=1.0, file=Path("a"), append=HOSTILE, groups=()
    )
    test = SimpleNamespace(name=HOSTILE, options=options, groups=(HOSTILE,), skip="")
    plan = SimpleNamespace(tests=(test,), left_out=(HOSTILE,))
    return suite_report.listing(cast(Any, plan))


SHOWN: dict[str, Callable[[], str]] = {
    "closing": lambda: closing(RECORD),
    "a passed boot": lambda: closing(replace(RECORD, outcome=Outcome(Verdict.PASS, Reason.OK, ""))),
    "json": RECORD.text,
    "cell": lambda: result_line(RESULT),
    "cell in a log": _plain_line,
    "cell's failure": lambda: failure_text(RESULT),
    "progress": _notes,
    "error": lambda: _error(UserError(HOSTILE, HOSTILE)),
    "build error": lambda: _error(BuildError(HOSTILE, (HOSTILE,))),
    "payload": lambda: suite_report.line(Case(HOSTILE, Status.FAIL, HOSTILE), 1.0, colour=False),
    "suite": _listing,
}


@pytest.mark.parametrize("name", SHOWN)
def test_no_command_is_passed_on(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = SHOWN[name]() + capsys.readouterr().err
    found = _COMMANDS.search(text)
    assert found is None, f"{name}: {found[0]!r} in {text!r}"
    assert "title" not in text or name == "json"


def test_a_live_view_passes_none_on_but_its_own() -> None:
    """Its own are rich's: colours and cursor movements, no titles, no clearing of the screen."""
    out = io.StringIO()
    display = LiveDisplay(1, out)
    display.start()
    display.ended(RESULT)
    display.stop()
    assert not re.search("\x1b\\[2J|\x1b\\]|[\x00\x08\x9b\u202e]", out.getvalue())


def test_what_a_script_reads_is_whole() -> None:
    assert json.loads(RECORD.text())["summary"] == HOSTILE


def test_machines_of_other_checkouts_are_listed_without_harm(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from kvm.cli import machine

    row = {"name": HOSTILE, "state": HOSTILE, "kernel": HOSTILE}
    machine._show(control_report.table([row]), {}, "")
    assert not _COMMANDS.search(capsys.readouterr().out)
