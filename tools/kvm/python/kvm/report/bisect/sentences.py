# SPDX-License-Identifier: GPL-2.0-only
"""The findings of a bisection in sentences that every form of its report uses. Pure.

Subjects, authors and summaries are untrusted: each renderer escapes them.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from kvm.bisect.model import Axis, Blame, Commit, Decision, Failure, Label, Report
from kvm.output.words import duration, one_line, plural

_MAX_WORDS = 2000
_SIDES = {Axis.HOST: "KVM (host side)", Axis.GUEST: "guest"}
_HALVES = {"kernel": "kernel", "vmm": "VMM"}
_LABELS = {
    Label.KERNEL: "kernel",
    Label.VMM: "VMM",
    Label.INTERACTION: "interaction",
    Label.EITHER: "either half",
    Label.UNKNOWN: "not known",
}


def headline(report: Report) -> str:
    """The kind of answer; it does not name the commit."""
    if report.first_bad is not None:
        return "The commit that fixed it" if report.fix else "First bad commit"
    what = "commit that fixed it" if report.fix else "first bad commit"
    return f"The {what} is one of {len(report.candidates)}"


def status(report: Report) -> str:
    return "found" if report.first_bad is not None else "range"


def narrowed(report: Report) -> str:
    """Why there is more than one candidate; "" if there is one."""
    if report.first_bad is not None:
        return ""
    return "No closer answer: revisions among them can't tell, and were skipped."


def fixes(report: Report) -> str:
    """The ``Fixes:`` tag; "" if there is no single commit that broke something."""
    if report.first_bad is None or report.fix:
        return ""
    return one_line(report.first_bad.fixes)


def touched(commit: Commit) -> str:
    return " and ".join(_HALVES.get(half, half) for half in commit.halves)


def label(blame: Blame) -> str:
    """The label, with the parts if they say more: ``kernel: KVM (host side)``."""
    word = _LABELS[blame.label]
    parts = _parts(blame)
    if not parts or parts == [word] or blame.label is Label.EITHER:
        return word
    return f"{word}: {' and '.join(parts)}"


def reasoning(blame: Blame) -> str:
    """The explanation for people as one sentence."""
    words = one_line(blame.words, _MAX_WORDS)
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def _parts(blame: Blame) -> list[str]:
    """The parts by name; the kernel's side is named only if the two were distinguished."""
    kernel = [axis for axis in (Axis.HOST, Axis.GUEST) if axis in blame.parts]
    is_told = any(Axis.HOST in result.changed for result in blame.table)
    found = [_SIDES[kernel[0]] if is_told and len(kernel) == 1 else "kernel"] if kernel else []
    return [*found, "VMM"] if Axis.VMM in blame.parts else found


def often(failure: Failure) -> str:
    """How often the failing end shows it."""
    if failure.steady:
        return "in every run"
    return f"in about {percent(failure.rate)} of the runs"


def runs(decision: Decision) -> str:
    """How many of several runs showed the failure; "" for one run."""
    total = decision.bad + decision.good
    return f"{decision.bad} of {plural(total, 'run')} failed" if total > 1 else ""


def confidence(report: Report) -> str:
    return f"{percent(report.confidence)} for the whole answer"


def work(report: Report) -> str:
    """The number of steps and builds, and the time."""
    return "; ".join(_work(report))


def _work(report: Report) -> Iterator[str]:
    count = len(report.steps)
    yield f"{plural(count, 'step')} in {duration(report.seconds)}"
    if count:
        yield f"median step {duration(median_step(report))}"
    built = f"{plural(report.kernels_built, 'kernel')} and {plural(report.vmms_built, 'VMM')}"
    yield f"built {built}"
    if report.reused:
        yield f"{plural(report.reused, 'step')} known from earlier runs"


def median_step(report: Report) -> float:
    """The median step in seconds; 0 if no step was needed."""
    return statistics.median([step.decision.seconds for step in report.steps] or [0.0])


def percent(part: float) -> str:
    """``99 %``, ``99.9 %``; never 100 for less."""
    return f"{100 * part:.6g} %" if part < 0.999999 else f"{100 * part:.9g} %"
