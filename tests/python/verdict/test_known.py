# SPDX-License-Identifier: GPL-2.0-only
"""A file of known warnings: its syntax, what it excuses, and which ones did not occur."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.verdict import known
from kvm.verdict.console import parse_console
from kvm.verdict.judge import host_complaint, judge
from kvm.verdict.known import KnownWarnings
from kvm.verdict.observation import Observation
from kvm.verdict.vocabulary import Reason, Verdict

PASSED = Observation(command=("true",), hello=True, exit_code=0, stop="reset")
WARN = parse_console("[    1.000000] WARNING: CPU: 0 PID: 1 at a.c:17 odd+0x1/0x2\n")
OOPS = parse_console("[    1.000000] BUG: KASAN: slab-out-of-bounds in f+0x1/0x2\n")
SIGNATURE = WARN[0].signature


def _file(folder: Path, text: str | bytes) -> Path:
    path = folder / "known"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_signature_a_line_with_comments_between(tmp_path: Path) -> None:
    found = KnownWarnings.read(_file(tmp_path, f"# because\n\n{SIGNATURE}\n  other in f \n"))
    assert found.lines == {SIGNATURE: 3, "other in f": 4}
    assert KnownWarnings.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ok in f\nWARNING at a.c:17 odd\n", r"known:2: .*is no signature.*\n.*write "),
        ("at 0x1234\n", "known:1: "),
        ("one\ntwo\none\n", "known:3: stands in line 1 already"),
        (b"one\n\xff\n", "UTF-8|utf-8"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(UserError) as refused:
        KnownWarnings.read(_file(tmp_path, text))
    assert re.search(said, str(refused.value), re.DOTALL), str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gone: No such file"):
        KnownWarnings.read(tmp_path / "gone")


def test_one_that_occurred_is_in_the_outcome_and_one_that_did_not_is_told(tmp_path: Path) -> None:
    file = KnownWarnings.read(_file(tmp_path, f"never in f\n{SIGNATURE}\n"))
    outcome = judge(replace(PASSED, findings=WARN, known_warnings=file.signatures))
    assert outcome.verdict is Verdict.PASS
    assert known.of(outcome) == {SIGNATURE}
    assert file.unseen([outcome.evidence]) == (f"{file.path}:1: did not occur: never in f",)
    clean = judge(replace(PASSED, known_warnings=file.signatures))
    assert (clean.evidence, len(file.unseen([clean.evidence]))) == ((), 2)


def test_a_hosts_warning_is_known_by_the_name_that_its_verdict_has() -> None:
    told = judge(replace(PASSED, host_findings=WARN))
    assert told.signature == f"host {SIGNATURE}"
    names = frozenset({told.signature})
    assert judge(replace(PASSED, host_findings=WARN, known_warnings=names)).ok
    assert not judge(replace(PASSED, findings=WARN, known_warnings=names)).ok
    assert host_complaint(WARN, names) is None
    assert host_complaint(WARN) is not None


def test_what_is_worse_than_a_warning_is_never_known() -> None:
    names = frozenset({OOPS[0].signature, f"host {OOPS[0].signature}"})
    for side, reason in (("findings", Reason.KERNEL_OOPS), ("host_findings", Reason.HOST_PANIC)):
        outcome = judge(replace(PASSED, known_warnings=names, **{side: OOPS}))  # type: ignore[arg-type]
        assert (outcome.verdict, outcome.reason) == (Verdict.FAIL, reason)
        assert not known.of(outcome)


def test_notes_of_several_machines_are_added_up() -> None:
    outcome = known.noted(known.noted(judge(PASSED), {"b"}), {"a"})
    assert [item.lines for item in outcome.evidence] == [("a", "b")]
