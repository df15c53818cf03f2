# SPDX-License-Identifier: GPL-2.0-only
"""The command list: each task parses its options, makes one call, and prints what came back.

./invoke --list             every command
./invoke --help COMMAND     its options
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task, task

from kvm import cli
from kvm.run.options import HELP


@task(help=HELP, iterable=["configitem", "append", "disk"])
def build_and_boot(
    c: Context,
    config: str = "default",
    configitem: list[str] | None = None,
    host: str = "auto",
    cpus: int = 1,
    memory: str = "256M",
    append: list[str] | None = None,
    kernel: str = "",
    initrd: str = "",
    disk: list[str] | None = None,
    shell: bool = False,
    timeout: float = 6.0,
    deadline: float = 3600.0,
    json: str = "",
    verbose: bool = False,
    dry_run: bool = False,
    allow_warnings: bool = False,
    locked: bool = False,
) -> None:
    """Build the kernel and the VMM, boot the one on the other, and say how it went.

    What follows -- runs in the guest, and its exit code is this command's:
    ./invoke build-and-boot --cpus 4 -- sh -c 'nproc; uname -r'
    """
    from kvm.run import command
    from kvm.run.options import BootOptions, parse_memory

    with cli.command() as (project, progress):
        options = BootOptions(
            command=cli.after_dashes(),
            shell=shell,
            host=host,
            config=config,
            items=tuple(configitem or ()),
            cpus=cpus,
            memory_mib=parse_memory(memory),
            append=" ".join(append or ()),
            kernel=Path(kernel) if kernel else None,
            initrd=Path(initrd) if initrd else None,
            disks=tuple(disk or ()),
            timeout_s=timeout,
            deadline_s=deadline,
            allow_warnings=allow_warnings,
            pinned_only=locked,
        ).check()
        if dry_run:
            print(command.describe(options))
            return
        code = command.boot(project, options, progress, json_target=json, verbose=verbose)
    cli.finish(code)


boot: Task[Any] = Task(
    build_and_boot.body, name="boot", help=HELP, iterable=["configitem", "append", "disk"]
)


@task(help={"json": "write the report as JSON to this file, or - for stdout"})
def doctor(c: Context, json: str = "") -> None:
    """Say what this machine can do, which host `auto` would choose, and how to mend the rest."""
    from kvm.run import checkup

    with cli.command() as (project, _):
        code = checkup.report(project, json_target=json)
    cli.finish(code)


@task(help={"config": HELP["config"], "bzimage": "also build a bzImage"})
def build(c: Context, config: str = "default", bzimage: bool = False) -> None:
    """Build both halves, the kernel and the VMM, and boot nothing."""
    from kvm.run import halves

    with cli.command() as (project, progress):
        built = halves.build(project, progress, config=config, bzimage=bzimage)
    print(f"kernel {built.kernel.label} {built.kernel.folder}\nvmm    {built.vmm.folder}")


@task(help={"k": "run only tests that match this expression", "n": "parallel workers"})
def test(c: Context, k: str = "", n: int = 0) -> None:
    """Run every test: C++, Python, style, and boots in a lab host. Words after -- go to pytest."""
    from kvm.run import suite

    with cli.command() as (project, progress):
        code = suite.run(project, progress, expression=k, workers=n, extra=cli.after_dashes())
    cli.finish(code)


@task(
    positional=["what"],
    help={
        "what": "boot: our boot against QEMU microvm's, both in the same lab host",
        "runs": "interleaved runs of each",
        "json": HELP["json"],
    },
)
def bench(c: Context, what: str, runs: int = 7, json: str = "") -> None:
    """Measure speed as a ratio to a peer, side by side: ./invoke bench boot."""
    from kvm.bench import run

    with cli.command() as (project, progress):
        print(run(what, project, progress, runs=runs, json_target=json), end="")


@task(help={"locked": HELP["locked"]})
def kernel_fetch(c: Context, locked: bool = False) -> None:
    """Bring the pinned kernel source into the cache and verify it."""
    from kvm.kernel import commands

    with cli.command() as (project, progress), progress.phase("kernel source") as say:
        print(commands.fetch_source(project, say, pinned_only=locked))


@task(help={"locked": HELP["locked"]})
def kernel_tree(c: Context, locked: bool = False) -> None:
    """Make linux/tree: the pinned source plus one commit for each of our patches."""
    from kvm.kernel import commands

    with cli.command() as (project, progress), progress.phase("kernel tree") as say:
        print(commands.tree_state(project, say, pinned_only=locked))


@task(help={"message": "subject of the commit that uncommitted edits become"})
def kernel_save(c: Context, message: str = "") -> None:
    """Turn the commits and edits in linux/tree into linux/patches."""
    from kvm.kernel import commands

    with cli.command() as (project, progress):
        print(commands.save(project, progress.note, message))


@task(help={"config": HELP["config"], "configitem": HELP["configitem"]}, iterable=["configitem"])
def kernel_config(c: Context, config: str = "default", configitem: list[str] | None = None) -> None:
    """Resolve a config and check that every requested symbol survived; prints its path."""
    from kvm.kernel import commands

    with cli.command() as (project, progress), progress.phase("kernel config") as say:
        print(commands.resolve_config(project, say, config, tuple(configitem or ())))


@task(help={"config": HELP["config"], "bzimage": "also build a bzImage"})
def kernel_build(c: Context, config: str = "default", bzimage: bool = False) -> None:
    """Build the kernel alone; prints its id and the folder of the image."""
    from kvm.kernel import commands

    with cli.command() as (project, progress), progress.phase("kernel") as say:
        print(commands.build_kernel(project, say, config, bzimage=bzimage))


@task
def lab_status(c: Context) -> None:
    """Say which lab hosts are running."""
    from kvm.host import lab

    with cli.command() as (project, _):
        print(*lab.statuses(project) or ("no lab host is running",), sep="\n")


@task
def lab_stop(c: Context) -> None:
    """End the lab hosts of this checkout, whatever state they are in."""
    from kvm.host import lab

    with cli.command() as (project, _):
        print(f"stopped {stopped}" if (stopped := lab.stop(project)) else "no lab host was running")


namespace = Collection(build_and_boot, boot, build, doctor, test, bench)
namespace.add_collection(
    Collection(
        "kernel",
        fetch=kernel_fetch,
        tree=kernel_tree,
        save=kernel_save,
        config=kernel_config,
        build=kernel_build,
    )
)
namespace.add_collection(Collection("lab", status=lab_status, stop=lab_stop))
