# SPDX-License-Identifier: GPL-2.0-only
"""``invoke bench WHAT``: the list of comparisons."""

from __future__ import annotations

from kvm.bench import boot, devices, edit, events, memory, payloads
from kvm.commands.words import BenchWords
from kvm.errors import UserError, usage
from kvm.output import targets
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.verdict.vocabulary import EXIT_GOOD

_BENCHES = {
    "boot": boot.report,
    "edit": edit.report,
    "events": events.report,
    "devices": devices.report,
    "memory": memory.report,
}


_PAYLOADS = "payloads"  # compares no speed: it has no runs, but a suite


def run(project: Project, progress: Progress, words: BenchWords) -> int:
    """Run the named comparison and show it (with ``-``, only as JSON); return the exit code."""
    with usage():
        _check(words.what, words.runs, words.suite, words.names)
    with targets.opened(words.json) as out:
        if words.what == _PAYLOADS:
            found = payloads.report(project, progress, suite=words.suite, names=words.names)
        else:
            found = _BENCHES[words.what](project, progress, runs=words.runs)
        progress.close()
        if words.json != targets.STDOUT:
            print(found.table, end="")
        if words.json:
            out.put(words.json, found.text)
        return out.exit_code(EXIT_GOOD)


def _check(what: str, runs: int, suite: str, names: str) -> None:
    if what not in (*_BENCHES, _PAYLOADS):
        raise UserError(
            f"there is no bench {what!r}", f"known: {', '.join((*_BENCHES, _PAYLOADS))}"
        )
    if (what == _PAYLOADS) != bool(suite) or (names and not suite):
        raise UserError(
            "bench payloads needs --suite" if not suite else f"--suite with bench {what}",
            "write ./invoke bench payloads --suite FOLDER [-k NAME,...]",
        )
    if runs < 1:
        raise UserError(f"--runs {runs}", "give at least 1, better 7 or more")
