# SPDX-License-Identifier: GPL-2.0-only
"""Options of commands that are not a machine's. Imports little, because ``--list`` waits for it."""

from __future__ import annotations

from dataclasses import dataclass

from kvm.errors import UserError
from kvm.run.options import BootOptions
from kvm.spec.fields import like, option
from kvm.verdict.known import KnownWarnings
from kvm.verdict.vocabulary import Reason


def json_option(what: str = "the result") -> str:
    """The field of a command whose result scripts may read."""
    made: str = option(
        "", name="json", short="j", help=f"write {what} as JSON to this file, or - for stdout"
    )
    return made


@dataclass(frozen=True, slots=True)
class Showing:
    """What to do with a boot's result, or during the boot."""

    json: str = json_option()
    verbose: bool = option(False, help="show the guest kernel's console as it comes")
    dry_run: bool = option(
        False, short="y", help="print what would be booted, build and boot nothing"
    )
    timeline: str = option(
        "", help="write a picture of the boot's stages and initcalls to this .html file"
    )
    compare: str = option(
        "",
        help="also boot this revision, several times in turn, and say which initcalls differ",
    )


@dataclass(frozen=True, slots=True)
class SnapshotWords:
    """More options of ``snapshot``; those of its machine are a boot's."""

    name: str = option(
        name="snapshot", positional=True, help="the snapshot's name, for boot --from NAME"
    )
    json: str = json_option()
    verbose: bool = like(Showing, "verbose")


@dataclass(frozen=True, slots=True)
class SuiteWords:
    """More options of ``payload``; all but ``json`` are only for ``--suite``.

    ``max_cpus`` and ``timeout_s`` are what was typed for one payload's options of these names.
    """

    suite: bool = option(
        False,
        short="s",
        help="run all tests of the folder's unittests.cfg (kvm-unit-tests' format)",
    )
    names: str = option(
        "",
        name="k",
        help="--suite: only tests with these names or shell patterns, separated by commas",
    )
    groups: str = option("", name="g", help="--suite: only tests of one of these groups")
    list_only: bool = option(
        False,
        name="list",
        short="l",
        help="--suite: list the tests and why some are skipped; run nothing",
    )
    expected: str = option(
        "",
        short="e",
        help="--suite: which tests are known to fail: a file, or a name in tests/matrix/expected "
        "(default: expected.toml beside unittests.cfg)",
    )
    outputs: tuple[str, ...] = option(
        (),
        name="output",
        short="o",
        help="--suite: write a report: FILE.xml (JUnit), .ktap or .json, or FORMAT:- for stdout "
        "(repeatable)",
    )
    json: str = json_option()
    max_cpus: int | None = option(None, name="cpus", help="")
    timeout_s: float | None = option(None, name="timeout", help="")


@dataclass(frozen=True, slots=True)
class TestWords:
    """The options of ``test``: pytest, the matrix, or planted faults."""

    __test__ = False  # pytest gives classes of this name a meaning

    expression: str = option(
        "",
        name="k",
        help="run only tests (cells) that match this expression; nothing is built for other cells",
    )
    workers: int = option(0, name="n", help="parallel workers; in the matrix each has a lab host")
    matrix: bool = option(False, short="m", help="run the test matrix, tests/matrix.toml")
    subset: str = option("ci", short="s", help="which of its subsets: smoke, ci, soak, full")
    axes: tuple[str, ...] = option(
        (),
        name="axis",
        short="a",
        help="only cells with these values: AXIS=VALUE,VALUE (repeatable, also for one axis)",
    )
    workload: str = option(
        "",
        short="w",
        help="run this command line or script in each machine instead of the plan's workloads",
    )
    shard: str = option(
        "",
        help="run only this share of the cells: NUMBER/COUNT, such as 1/3; ./invoke report --merge "
        "joins the results",
    )
    list_only: bool = option(
        False, name="list", short="l", help="list the cells and what they prove; run nothing"
    )
    dry_run: bool = option(False, short="d", help="say what would be built and run")
    resume: bool = option(
        False,
        short="r",
        help="continue the run that was interrupted; cells that have a verdict keep it",
    )
    reruns: int = option(
        3, short="e", help="how often a failed cell is run again, to tell FAIL from FLAKY"
    )
    planted: bool = option(
        False, short="p", help="check that the matrix finds the faults in tests/matrix/planted"
    )
    bisect_planted: bool = option(
        False,
        short="b",
        help="check that bisect finds commits planted in a history, and whose they are",
    )
    known_warnings: KnownWarnings | None = like(BootOptions, "known_warnings", short="o")
    json: str = json_option()


@dataclass(frozen=True, slots=True)
class BenchWords:
    """The options of ``bench``."""

    what: str = option(
        short="w",
        positional=True,
        help="boot: ours against QEMU microvm's; devices: disk and network against QEMU's; "
        "memory: beyond the guest's, against QEMU's; events: with guest events against without; "
        "edit: an edited line to a verdict, against make and virtme-ng; "
        "payloads: the verdicts of test payloads beside those under QEMU's VMM",
    )
    runs: int = option(7, short="r", help="interleaved runs of each")
    suite: str = option(
        "",
        short="s",
        help="payloads: the folder with their unittests.cfg, such as kvm-unit-tests",
    )
    names: str = option(
        "",
        name="k",
        help="payloads: only tests with these names or shell patterns, separated by commas",
    )
    json: str = json_option()


@dataclass(frozen=True, slots=True)
class ReportWords:
    """The options of ``report``; a ``run`` of 0 is the newest."""

    run: int = option(0, short="r", help="number of the run (default: the newest)")
    outputs: tuple[str, ...] = option(
        (),
        name="output",
        short="o",
        help="FILE.html, .xml (JUnit), .ktap, .json, .md; or FORMAT:- for stdout; "
        "durations:FILE for how long cells take (repeatable)",
    )
    merge: tuple[str, ...] = option(
        (),
        short="m",
        help="join the results of --shard runs first: each one's build/results.sqlite3, or its "
        "build folder, whose consoles come too (repeatable)",
    )


@dataclass(frozen=True, slots=True)
class BisectWords:
    """More options of ``bisect``, in addition to its ``Request``."""

    resume: bool = option(False, short="u", help="continue the bisection that was interrupted")
    json: str = json_option("the report")
    outputs: tuple[str, ...] = option(
        (),
        name="output",
        help="FILE.html, .md, .txt, .json, or FORMAT:- for stdout (repeatable)",
    )


@dataclass(frozen=True, slots=True)
class StepWords:
    """The options of ``bisect-step``: ``reason`` and ``signature`` name the failure ("": any);
    ``rate`` is how often it occurs."""

    cell: str = option("", short="c", help="what is run: a cell of the matrix")
    reason: str = option("", short="r", help="hunt failures with this reason")
    signature: str = option("", short="s", help="hunt failures with this signature alone")
    rate: float = option(1.0, short="a", help="the share of runs that fail")
    confidence: float = option(
        0.99,
        short="o",
        help="how sure the answer must be; a flaky test is run as often as that takes",
    )

    def check(self) -> StepWords:
        """Raise ``UserError`` naming the bad value; return self otherwise."""
        if not self.cell:
            raise UserError("which cell?", "give --cell ID; ./invoke test --matrix --list")
        if self.reason and self.reason not in {reason.value for reason in Reason}:
            raise UserError(f"--reason {self.reason}", "use a reason of a verdict, such as hang")
        if not 0 < self.rate <= 1:
            raise UserError(f"--rate {self.rate}", "give the share of runs that fail, up to 1")
        if not 0.5 <= self.confidence < 1:
            raise UserError(f"--confidence {self.confidence}", "give 0.5 to 0.9999")
        return self
