# SPDX-License-Identifier: GPL-2.0-only
"""The commands that run something: a boot, a payload, the tests, a bench."""

from __future__ import annotations

from kvm import command_line
from kvm.cli.derived import task
from kvm.commands.words import BenchWords, ReportWords, Showing, SuiteWords, TestWords
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run.options import BootOptions
from kvm.run.payload.options import PayloadOptions


def _boot(project: Project, progress: Progress, options: BootOptions, showing: Showing) -> int:
    """Build the kernel and the VMM, boot the one on the other, and say how it went.

    What follows -- runs in the guest, and its exit code is this command's:
    ./invoke build-and-boot --cpus 4 -- sh -c 'nproc; uname -r'
    """
    from kvm.commands import boot

    return boot.main(project, progress, options, showing)


def _payload(
    project: Project, progress: Progress, options: PayloadOptions, words: SuiteWords
) -> int:
    """Run a test payload (kvm-unit-tests' *.flat, say): ./invoke payload FILE.flat --cpus 2.

    The exit code is its verdict: 0 pass, 1 fail, 4 skip, 124 timeout, 125 cannot tell. All of a
    folder that has a unittests.cfg: ./invoke payload --suite FOLDER -k 'vmexit_*'; then the exit
    code is 0 all as expected, 1 a failure, 125 cannot tell.
    """
    from kvm.commands import payload

    return payload.main(project, progress, options, words)


def _test(project: Project, progress: Progress, words: TestWords) -> int:
    """Run every test: C++, Python, style, and boots in a lab host. Words after -- go to pytest.

    --matrix runs kernels x hosts x machines x workloads instead: ./invoke test --matrix
    """
    from kvm.commands import test

    return test.main(project, progress, words, command_line.after_dashes())


def _report(project: Project, progress: Progress, words: ReportWords) -> int:
    """Render a run of the matrix: by default as a page, build/report.html.

    --merge joins what --shard has run elsewhere; then the exit code is the verdict on all of it.
    """
    from kvm.commands import report

    return report.main(project, words)


def _bench(project: Project, progress: Progress, words: BenchWords) -> int:
    """Measure speed as a ratio to a peer, side by side: ./invoke bench boot."""
    from kvm.commands import bench

    return bench.run(project, progress, words)


build_and_boot = task(_boot, BootOptions, Showing, name="build-and-boot")
boot = task(_boot, BootOptions, Showing)
payload = task(_payload, PayloadOptions, SuiteWords)
test = task(_test, TestWords)
report = task(_report, ReportWords)
bench = task(_bench, BenchWords)
