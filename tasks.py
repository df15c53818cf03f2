# SPDX-License-Identifier: GPL-2.0-only
"""The list of commands; the options of each are defined beside its code.

./invoke --list             every command
./invoke --help COMMAND     its options
"""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from kvm.cli import bisect, call, kernel, lab, machine, run, snapshot
from kvm.run.options import BootOptions
from kvm.spec.fields import options

_CONFIG = {"config": options(BootOptions)["config"].help}


@task(help={"json": "write the report as JSON to this file, or - for stdout"})
def doctor(c: Context, json: str = "") -> None:
    """Say what this machine can do, which host `auto` would choose, and how to fix the rest."""
    from kvm.commands import doctor as command

    with call.command() as (project, _):
        code = command.report(project, json_target=json)
    call.finish(code)


@task(help=_CONFIG | {"bzimage": "also build a bzImage"})
def build(c: Context, config: str = "default", bzimage: bool = False) -> None:
    """Build both halves, the kernel and the VMM, and boot nothing."""
    from kvm.run import halves

    with call.command() as (project, progress):
        built = halves.build(project, progress, config=config, bzimage=bzimage)
    # Bisections, also those of other commits, read these two lines.
    print(f"kernel {built.kernel.label} {built.kernel.folder}\nvmm    {built.vmm.folder}")


namespace = Collection(
    run.build_and_boot,
    run.boot,
    build,
    doctor,
    run.payload,
    run.test,
    run.report,
    run.bench,
    bisect.bisect,
    bisect.bisect_step,
    kernel.COMMANDS,
    lab.COMMANDS,
    machine.COMMANDS,
    snapshot.COMMANDS,
)
