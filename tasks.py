# SPDX-License-Identifier: GPL-2.0-only
"""The command list: each task parses its options, makes one call, and prints what came back.

./invoke --list             every command
./invoke --help COMMAND     its options
"""

from __future__ import annotations

from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task, task

from kvm import command_line
from kvm.cli import bisect, call, kernel, lab, machine, payload
from kvm.run.options import BENCH_HELP, HELP, REPEATABLE, REPORT_HELP, TEST_HELP


@task(help=HELP, iterable=REPEATABLE)
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
    protocol: str = "auto",
    cpu: str = "host",
    hugepages: bool = False,
    kvm_device: str = "/dev/kvm",
    split_irqchip: bool = False,
    disk: list[str] | None = None,
    net: list[str] | None = None,
    vsock: str = "",
    share: list[str] | None = None,
    vfio_pci: list[str] | None = None,
    lab_device: list[str] | None = None,
    root: str = "",
    balloon: int = -1,
    shell: bool = False,
    timeout: float = 6.0,
    deadline: float = 3600.0,
    json: str = "",
    verbose: bool = False,
    dry_run: bool = False,
    allow_warnings: bool = False,
    known_warnings: str = "",
    locked: bool = False,
    events: str = "auto",
    transport: str = "mmio",
    ring: str = "split",
    timeline: str = "",
    compare: str = "",
    name: str = "",
    tty: list[str] | None = None,
    vnc: str = "",
    display: str = "1024x768",
    stdin: bool = True,
) -> None:
    """Build the kernel and the VMM, boot the one on the other, and say how it went.

    What follows -- runs in the guest, and its exit code is this command's:
    ./invoke build-and-boot --cpus 4 -- sh -c 'nproc; uname -r'
    """
    given = call.given(locals())
    from kvm.commands import boot as command

    with call.command() as (project, progress):
        code = command.main(project, progress, command=command_line.after_dashes(), **given)
    call.finish(code)


boot: Task[Any] = Task(build_and_boot.body, name="boot", help=HELP, iterable=REPEATABLE)


@task(help={"json": "write the report as JSON to this file, or - for stdout"})
def doctor(c: Context, json: str = "") -> None:
    """Say what this machine can do, which host `auto` would choose, and how to mend the rest."""
    from kvm.commands import doctor as checkup

    with call.command() as (project, _):
        code = checkup.report(project, json_target=json)
    call.finish(code)


@task(help={"config": HELP["config"], "bzimage": "also build a bzImage"})
def build(c: Context, config: str = "default", bzimage: bool = False) -> None:
    """Build both halves, the kernel and the VMM, and boot nothing."""
    from kvm.run import halves

    with call.command() as (project, progress):
        built = halves.build(project, progress, config=config, bzimage=bzimage)
    print(f"kernel {built.kernel.label} {built.kernel.folder}\nvmm    {built.vmm.folder}")


@task(help=TEST_HELP, iterable=["axis"])
def test(
    c: Context,
    k: str = "",
    n: int = 0,
    matrix: bool = False,
    subset: str = "ci",
    axis: list[str] | None = None,
    workload: str = "",
    list: bool = False,
    dry_run: bool = False,
    resume: bool = False,
    reruns: int = 3,
    planted: bool = False,
    bisect_planted: bool = False,
    known_warnings: str = "",
    json: str = "",
) -> None:
    """Run every test: C++, Python, style, and boots in a lab host. Words after -- go to pytest.

    --matrix runs kernels x hosts x machines x workloads instead: ./invoke test --matrix
    """
    given = call.given(locals())
    from kvm.commands import test as suite

    with call.command() as (project, progress):
        code = suite.main(project, progress, extra=command_line.after_dashes(), **given)
    call.finish(code)


@task(help=REPORT_HELP, iterable=["output"])
def report(c: Context, run: int = 0, output: list[str] | None = None) -> None:
    """Render a run of the matrix: by default as a page, build/report.html."""
    from kvm.commands import report as command

    with call.command() as (project, _):
        command.main(project, run, output or [])


@task(positional=["what"], help=BENCH_HELP)
def bench(
    c: Context, what: str, runs: int = 7, suite: str = "", k: str = "", json: str = ""
) -> None:
    """Measure speed as a ratio to a peer, side by side: ./invoke bench boot."""
    from kvm.commands.bench import run

    with call.command() as (project, progress):
        words = {"suite": suite, "names": k, "json_target": json}
        code = run(what, project, progress, runs=runs, **words)
    call.finish(code)


namespace = Collection(
    build_and_boot,
    boot,
    build,
    doctor,
    payload.payload,
    test,
    report,
    bench,
    bisect.bisect,
    bisect.bisect_step,
)
namespace.add_collection(kernel.COMMANDS)
namespace.add_collection(lab.COMMANDS)
namespace.add_collection(machine.COMMANDS)
