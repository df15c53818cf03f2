# SPDX-License-Identifier: GPL-2.0-only
"""Plans whose payloads never run, and a bench that returns scripted results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kvm.run.payload.options import PayloadOptions
from kvm.run.payload.suite import run as running
from kvm.run.payload.suite.plan import Plan, SuiteTest
from kvm.run.record import GuestFacts, RunRecord
from kvm.verdict.payload import exit_code_of, outcome_of
from kvm.verdict.vocabulary import Outcome, Reason, Verdict

PASS, FAIL, SKIP = (outcome_of("a.flat", status) for status in (1, 3, 77))
LATE = Outcome(Verdict.FAIL, Reason.TIMEOUT, "not done after 9 s")
LOST = Outcome(Verdict.ERROR, Reason.INFRASTRUCTURE, "lost the lab host: it died")
CTRL_C = Outcome(Verdict.ERROR, Reason.INFRASTRUCTURE, "interrupted")


@dataclass
class ScriptedBench:
    """``ends`` has the outcomes of a test's runs, in turn; the last one is repeated."""

    ends: Mapping[str, Sequence[Outcome]]
    files: Mapping[Path, str] = field(default_factory=dict)
    said: str = ""
    ran: list[str] = field(default_factory=list)

    def payload(self, options: PayloadOptions, name: str) -> RunRecord:
        test = name.partition(".")[0]
        outcomes = self.ends.get(test, (PASS,))
        count = sum(1 for other in self.ran if other.partition(".")[0] == test)
        self.ran.append(name)
        outcome = outcomes[min(count, len(outcomes) - 1)]
        record = RunRecord(
            outcome=outcome,
            host="lab",
            exit_code=exit_code_of(outcome),
            guest=GuestFacts(stdout=self.said),
        )
        return running.check_interrupted(record)

    def host_files(self, paths: Sequence[Path]) -> Mapping[Path, str]:
        return {path: text for path, text in self.files.items() if path in paths}


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., Plan]:
    """``plan("a", "b", skip={"b": "why"})``."""

    def make(
        *names: str,
        skip: Mapping[str, str] | None = None,
        checks: Mapping[str, tuple[tuple[Path, str], ...]] | None = None,
        left_out: tuple[str, ...] = (),
    ) -> Plan:
        tests = tuple(
            SuiteTest(
                name,
                f"unittests.cfg:{line}",
                PayloadOptions(tmp_path / f"{name}.flat", again=f"--suite {tmp_path} -k {name}"),
                skip=(skip or {}).get(name, ""),
                checks=(checks or {}).get(name, ()),
            )
            for line, name in enumerate(names, 1)
        )
        path = tmp_path / "own" / "unittests.cfg"
        return Plan(path, tests, left_out, frozenset((*names, *left_out, "unchosen")))

    return make
