# SPDX-License-Identifier: GPL-2.0-only
"""``./invoke payload``: one test payload, or a folder of them."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from kvm.cli import call
from kvm.run.payload.options import HELP, UNSET


@task(positional=["file"], help=HELP, iterable=["append", "output"])
def payload(
    c: Context,
    file: str,
    suite: bool = False,
    k: str = "",
    g: str = "",
    list: bool = False,
    expected: str = "",
    output: list[str] | None = None,
    cpus: int = UNSET,
    memory: str = "256M",
    append: list[str] | None = None,
    initrd: str = "",
    protocol: str = "auto",
    cpu: str = "host",
    split_irqchip: bool = False,
    host: str = "auto",
    timeout: float = float(UNSET),
    json: str = "",
    locked: bool = False,
    known_warnings: str = "",
) -> None:
    """Run a test payload (kvm-unit-tests' *.flat, say): ./invoke payload FILE.flat --cpus 2.

    The exit code is its verdict: 0 pass, 1 fail, 4 skip, 124 timeout, 125 cannot tell. All of a
    folder that has a unittests.cfg: ./invoke payload --suite FOLDER -k 'vmexit_*'; then the exit
    code is 0 all as expected, 1 a failure, 125 cannot tell.
    """
    given = call.given(locals())
    from kvm.commands import payload as command

    with call.command() as (project, progress):
        code = command.main(project, progress, **given)
    call.finish(code)
