# SPDX-License-Identifier: GPL-2.0-only
"""The end of a run's output: the evidence if it failed, and always one closing line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from kvm.output.words import clean, one_line
from kvm.results.model import CellResult
from kvm.run.record import RunRecord
from kvm.verdict.known import KnownWarnings
from kvm.verdict.vocabulary import Evidence, Outcome, Reason, Verdict

_COLOURS = {
    Verdict.PASS: "\x1b[32m",
    Verdict.FAIL: "\x1b[31m",
    Verdict.SKIP: "\x1b[33m",
    Verdict.ERROR: "\x1b[35m",
}
_PLAIN = "\x1b[0m"


def closing(record: RunRecord, *, colour: bool = False, base: Path | None = None) -> str:
    """The evidence block (unless the run passed) and the closing line, newline-terminated.

    Paths below ``base`` (default: the working directory) are shown relative to it.
    """
    lines = [] if record.outcome.ok else evidence_block(record, base=base)
    return "\n".join([*lines, closing_line(record, colour=colour, base=base)]) + "\n"


def tell_unseen(known: KnownWarnings | None, outcomes: Iterable[Outcome | CellResult]) -> None:
    """Print the known warnings that did not occur to stderr, if everything passed."""
    made = list(outcomes)
    if known is not None and all(o.verdict in (Verdict.PASS, Verdict.SKIP) for o in made):
        for line in known.unseen(outcome.evidence for outcome in made):
            print(line, file=sys.stderr)


def closing_line(record: RunRecord, *, colour: bool = False, base: Path | None = None) -> str:
    """``PASS 6.12.117 host=lab vcpus=1 build=4.8s boot=0.9s total=7.1s run=build/runs/...``"""
    outcome = record.outcome
    words = [coloured(outcome.verdict.value, outcome.verdict, colour=colour)]
    if not outcome.ok:
        words.append(outcome.reason.value)
    if record.kernel.release:
        words.append(one_line(record.kernel.release))
    words.append(f"host={record.host}")
    if record.host_kernel is not None:
        words.append(f"host-kernel={record.host_kernel.release}")
    words.append(f"vcpus={record.guest.cpus}")
    if record.cloned:
        words.append("cloned")
    for name, seconds in (
        ("build", record.timings.build_s),
        ("boot", record.timings.boot_s),
        ("total", record.timings.total),
    ):
        if seconds is not None:
            words.append(f"{name}={seconds:.1f}s")
    if record.run_dir is not None:
        words.append(f"run={_shown(record.run_dir, base)}")
    return " ".join(words)


def coloured(text: str, verdict: Verdict, *, colour: bool) -> str:
    """The text in the colour of a verdict, if ``colour``."""
    return f"{_COLOURS[verdict]}{text}{_PLAIN}" if colour else text


def evidence_block(record: RunRecord, *, base: Path | None = None) -> list[str]:
    """The summary, the evidence, where to look further, and how to repeat the run."""
    lines = [f"{record.outcome.reason.value}: {one_line(record.outcome.summary)}"]
    for item in record.outcome.evidence:
        lines += _section(item)
    if record.outcome.reason is Reason.KERNEL_WARNING:
        lines.append(f"  signature: {record.outcome.signature}")
    if record.run_dir is not None:
        lines.append(f"  console log: {_shown(record.run_dir / 'console.log', base)}")
    if record.repeat:
        lines.append(f"  repeat: {record.repeat}")
    return [clean(line) for line in lines]


def _section(item: Evidence) -> list[str]:
    return [f"  {item.kind}:", *(f"    {line}".rstrip() for line in item.lines)]


def _shown(path: Path, base: Path | None) -> str:
    # Compared without resolving: a run folder behind a symbolic link is shown as the user knows it.
    root = base if base is not None else Path.cwd()
    return os.fspath(path.relative_to(root)) if path.is_relative_to(root) else os.fspath(path)
