# SPDX-License-Identifier: GPL-2.0-only
"""Machines that the emulator may have lost: they are started again, and what then passes is FLAKY.

Nothing outside shows whether QEMU's emulated SVM lost a guest or the code under test did
(docs/decisions/0009-emulated-svm.md). If the code does it each time, it does so again and FAILs;
if only now and then, we must not call it good.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from kvm.run.observe import Attempt
from kvm.verdict.symbols import SystemMap
from kvm.verdict.vocabulary import Evidence, Outcome, Verdict

Judged = tuple[Attempt, Outcome]

_RETRIES = 2
# arch/x86/kvm/svm/vmenter.S; a guest that is not offered SVM never runs it.
_BEHIND_VMRUN, _VMRUN_MODULE = "__svm_vcpu_run+", "kvm_amd"
# arch/x86/include/asm/segment.h: 64-bit code runs in 0x10 and 0x33, 32-bit code in 0x23.
_NO_SEGMENT = re.compile(r"\bRIP: (?!0010:|0033:|0023:)[0-9a-f]{4}:")


def started_again(
    first: Judged, again: Callable[[], Judged], host_kernel: SystemMap, note: Callable[[str], None]
) -> Judged:
    """The last of a machine's attempts, judged by all of them; ``again`` makes another one."""
    earlier: list[Judged] = []
    attempt, outcome = first
    while len(earlier) < _RETRIES and lost_by_emulator(attempt, host_kernel):
        note(f"{outcome.summary}: the emulator does this now and then; again")
        earlier.append((attempt, outcome))
        attempt, outcome = again()
    return attempt, _summed_up(earlier, outcome)


def lost_by_emulator(attempt: Attempt, host_kernel: SystemMap) -> bool:
    """Whether QEMU's emulation may have lost the guest.

    Now and then its SVM resumes a guest at the lab host's own address behind VMRUN, where no guest
    has any business. Or the guest ends in a triple fault without cause or a word from its kernel.
    Or its kernel oopses in a code segment that Linux does not have, because an IRET found no frame
    where one was.
    """
    if attempt.host.name != "lab" or attempt.script.interrupted:
        return False
    result = attempt.script.result or {}
    if result.get("stop") == "shutdown" and not attempt.script.console.findings:
        return True
    findings = attempt.script.console.findings
    if findings and any(_NO_SEGMENT.search(line) for line in findings[0].lines):
        return True
    kvm = attempt.host.modules.get(_VMRUN_MODULE, range(0))
    places = [vcpu["rip"] for vcpu in result.get("registers", ())]
    return any(
        place in kvm or host_kernel.symbolize(place).startswith(_BEHIND_VMRUN) for place in places
    )


def _summed_up(earlier: list[Judged], last: Outcome) -> Outcome:
    if not earlier:
        return last
    before = tuple(
        Evidence("earlier attempt", (outcome.summary, *attempt.script.console.tail))
        for attempt, outcome in earlier
    )
    if not last.ok:
        return replace(last, evidence=(*last.evidence, *before))
    lost = earlier[0][1]
    rate = f"FLAKY ({len(earlier)}/{len(earlier) + 1})"
    evidence = (*lost.evidence, *before)
    return replace(
        lost, verdict=Verdict.FLAKY, summary=f"{rate}: {lost.summary}", evidence=evidence
    )
