# SPDX-License-Identifier: GPL-2.0-only
"""``./invoke bisect`` and ``bisect-step``."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from kvm import command_line
from kvm.cli import call

_HELP = {
    "good": "an older revision that does not fail",
    "bad": "a newer one that does",
    "cell": "what is run at each step: a cell of the matrix, such as lab-vcpus2-mmio-smp",
    "test": "or a pytest test, by its node id",
    "fix": "the older revision fails: find the commit that mended it",
    "first_parent": "follow the first parent of merges alone",
    "skip": "do not test this revision or range (repeatable)",
    "path": "only commits that touch this path (repeatable)",
    "term_old": "the word for the older state, in git's log",
    "term_new": "the word for the newer state",
    "confidence": "how sure the answer must be; a flaky test is run as often as that takes",
    "reason": "hunt failures with this reason (default: what the failing end shows)",
    "signature": "hunt failures with this signature alone",
    "rate": "the share of runs that fail",
    "deadline": "seconds that one run of a command or test may take",
    "no_blame": "do not look for the half that is to blame",
    "configs": "GOOD,BAD: find the kconfig symbols that make the cell fail instead of a commit",
    "devices": "find the optional devices that make the cell fail",
    "resume": "go on with the bisection that was interrupted",
    "json": "write the report as JSON to this file, or - for stdout",
    "output": "FILE.html, .md, .txt, .json, or FORMAT:- for stdout (repeatable)",
}


def _help(*names: str) -> dict[str, str]:
    return {name: _HELP[name] for name in names}


@task(
    help=_help(*(name for name in _HELP if name != "rate")),
    iterable=["skip", "path", "output"],
)
def bisect(
    c: Context,
    good: str = "",
    bad: str = "HEAD",
    cell: str = "",
    test: str = "",
    fix: bool = False,
    first_parent: bool = False,
    skip: list[str] | None = None,
    path: list[str] | None = None,
    term_old: str = "",
    term_new: str = "",
    confidence: float = 0.99,
    reason: str = "",
    signature: str = "",
    deadline: float = 3600.0,
    no_blame: bool = False,
    configs: str = "",
    devices: bool = False,
    resume: bool = False,
    json: str = "",
    output: list[str] | None = None,
) -> None:
    """Find the commit that broke a cell, a test or a command, and the half that is to blame.

    ./invoke bisect --good v1 --cell lab-vcpus2-mmio-blk_integrity
    ./invoke bisect --good v1 -- sh -c './invoke boot -- true'
    """
    given = call.given(locals())
    from kvm.commands import bisect as command

    with call.command() as (project, progress):
        code = command.main(project, progress, argv=command_line.after_dashes(), **given)
    call.finish(code)


@task(help=_help("cell", "reason", "signature", "rate", "confidence"))
def bisect_step(
    c: Context,
    cell: str = "",
    reason: str = "",
    signature: str = "",
    rate: float = 1.0,
    confidence: float = 0.99,
) -> None:
    """Judge the checkout as it is, for git bisect run: 0 good, 1 the failure, 125 can't tell."""
    given = call.given(locals())
    from kvm.commands.bisect_step import StepOptions, step
    from kvm.errors import usage

    with call.command() as (project, progress):
        with usage():
            options = StepOptions(**given).check()
        code = step(project, progress, options)
    call.finish(code)
