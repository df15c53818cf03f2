# SPDX-License-Identifier: GPL-2.0-only
"""The meaning of a payload's own exit status, and the exit code for its verdict. Pure.

The status is what QEMU's isa-debug-exit makes of the value that the payload writes to port 0xf4,
``value << 1 | 1``: the convention of kvm-unit-tests, from which most payloads are.
"""

from __future__ import annotations

import re

from kvm.verdict.ktap import Case, Status
from kvm.verdict.vocabulary import EXIT_BAD, EXIT_CANNOT_TELL, EXIT_GOOD, Outcome, Reason, Verdict

STATUS_PASS = 1
STATUS_FAIL = 3
STATUS_SKIP = 77
STATUS_TIMEOUT = 124
STATUS_ABORT = 127

# kselftest's (tools/testing/selftests/kselftest.h), and the exit code of timeout(1).
EXIT_SKIP = 4
EXIT_TIMEOUT = 124

_MEANINGS = {
    STATUS_PASS: (Verdict.PASS, Reason.OK, "passed"),
    STATUS_FAIL: (Verdict.FAIL, Reason.CHECK_FAILED, "failed"),
    STATUS_SKIP: (Verdict.SKIP, Reason.NONE, "was skipped by itself"),
    STATUS_TIMEOUT: (Verdict.FAIL, Reason.TIMEOUT, "gave up waiting"),
    STATUS_ABORT: (Verdict.FAIL, Reason.GUEST_EXIT, "aborted"),
}

# How kvm-unit-tests begins the line of a check. An unexpected pass counts as a failure there, and
# a known failure does not.
_CHECK = re.compile(r"(?P<word>PASS|FAIL|SKIP|XFAIL|KFAIL|XPASS): (?P<name>.+)")
_CHECK_STATUS = {
    "PASS": Status.PASS,
    "FAIL": Status.FAIL,
    "SKIP": Status.SKIP,
    "XFAIL": Status.XFAIL,
    "KFAIL": Status.XFAIL,
    "XPASS": Status.FAIL,
}


def checks(serial: str) -> tuple[Case, ...]:
    """The results of the payload's single checks, in their order."""
    found = (_CHECK.match(line.rstrip()) for line in serial.splitlines())
    return tuple(
        Case(matched["name"], _CHECK_STATUS[matched["word"]]) for matched in found if matched
    )


def status_of(outcome: Outcome) -> Status:
    """A payload's verdict as a test's result."""
    if outcome.verdict is Verdict.FAIL:
        late = outcome.reason in (Reason.TIMEOUT, Reason.HANG)
        return Status.TIMEOUT if late else Status.FAIL
    return _STATUSES.get(outcome.verdict, Status.ERROR)


_STATUSES = {Verdict.PASS: Status.PASS, Verdict.SKIP: Status.SKIP}


def outcome_of(name: str, status: int) -> Outcome:
    """The verdict on a payload that ended by itself."""
    unknown = (Verdict.FAIL, Reason.GUEST_EXIT, "ended")
    verdict, reason, what = _MEANINGS.get(status, unknown)
    summary = f"{name} {what} with debug-exit status {status}"
    signature = "" if verdict is Verdict.PASS else f"payload {what} with {status}"
    return Outcome(verdict, reason, summary, signature=signature)


def exit_code_of(outcome: Outcome) -> int:
    """kselftest's codes: 0 pass, 1 fail, 4 skip, 124 timeout; 125 if it is unknown."""
    if outcome.verdict is Verdict.PASS:
        return EXIT_GOOD
    if outcome.verdict is Verdict.SKIP:
        return EXIT_SKIP
    if outcome.verdict is not Verdict.FAIL or outcome.reason is Reason.BUILD_FAILURE:
        return EXIT_CANNOT_TELL
    return EXIT_TIMEOUT if outcome.reason is Reason.TIMEOUT else EXIT_BAD
