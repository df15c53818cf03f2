# SPDX-License-Identifier: GPL-2.0-only
"""The console parser on ``samples/*.console``, each with the expected findings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kvm.verdict.console import MAX_ALIKE, MAX_FINDINGS, ConsoleParser, parse_console
from kvm.verdict.finding import Finding, normalise
from kvm.verdict.lines import MAX_LINE_BYTES, parse_line
from kvm.verdict.shapes import Kind
from kvm.verdict.vocabulary import Reason

SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.console"))
_EXPECT = re.compile(rb"# expect: (.*)\n")


def _sample(name: str) -> bytes:
    return _body((Path(__file__).parent / "samples" / f"{name}.console").read_bytes())


def _body(data: bytes) -> bytes:
    return b"".join(line for line in data.splitlines(keepends=True) if line[:2] != b"# ")


def _brief(findings: tuple[Finding, ...]) -> list[str]:
    return [f"{f.kind.value} | {f.reason.value} | {f.title}" for f in findings]


def _one(data: bytes) -> Finding:
    (finding,) = parse_console(data)
    return finding


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_finds_exactly_what_the_sample_holds(path: Path) -> None:
    data = path.read_bytes()
    assert _brief(parse_console(_body(data))) == [e.decode() for e in _EXPECT.findall(data)]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_where_the_stream_is_cut_changes_nothing(path: Path) -> None:
    data = _body(path.read_bytes())
    whole = parse_console(data)
    for at in range(len(data) + 1):
        parser = ConsoleParser()
        parser.feed(data[:at])
        parser.feed(data[at:])
        assert parser.finish() == whole, f"cut at byte {at}"
    assert parse_console(data[i : i + 1] for i in range(len(data))) == whole


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_serial_line_ends_and_colours_change_nothing(path: Path) -> None:
    data = _body(path.read_bytes())
    dressed = b"".join(
        b"\x1b[1;31m" + line.rstrip(b"\n") + b"\x1b[0m\r\n" for line in data.splitlines(True)
    )
    assert parse_console(dressed) == parse_console(data)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_prefix_of_a_log_is_parsed_and_ends(path: Path) -> None:
    """A machine may die in the middle of a line: a started report counts, nothing raises."""
    data = _body(path.read_bytes())
    seen = 0
    for at in range(0, len(data), 7):
        found = len(parse_console(data[:at]))
        assert found >= seen - 1  # half a line may look like another shape for a moment
        seen = max(seen, found)


def test_report_runs_from_cut_here_to_the_end_mark() -> None:
    found = _one(_sample("warning"))
    assert found.lines[0].endswith("[ cut here ]------------")
    assert found.lines[-1].endswith("---[ end trace 0000000000000000 ]---")
    assert (found.first_line, found.last_line) == (1, 11)
    assert found.trace == ("kvm_set_msr_common",)


def test_guessed_frames_are_left_out_of_the_trace() -> None:
    oops = parse_console(_sample("null_deref_then_panic"))[0]
    assert oops.trace == ("kvm_dirty_ring_get", "__x64_sys_ioctl", "do_syscall_64")


def test_lockdep_report_ends_with_its_backtrace() -> None:
    found = _one(_sample("lockdep_circular"))
    assert found.lines[-1].endswith("</TASK>")
    assert found.lines[0].endswith("=====")


def test_interleaved_reports_keep_their_own_traces() -> None:
    first, second = parse_console(_sample("interleaved_callers"))
    assert first.trace == ("first_caller",)
    assert second.trace == ("second_caller",)
    assert all("T5]" in line for line in first.lines)


def test_stall_report_takes_other_cpus_backtraces() -> None:
    found = _one(_sample("rcu_stall"))
    assert found.trace == ("on_each_cpu_cond_mask",)
    assert not any("unrelated" in line for line in found.lines)


def test_feed_returns_completed_reports_and_findings_show_open_ones() -> None:
    parser = ConsoleParser()
    lines = _sample("warning").splitlines(keepends=True)
    assert parser.feed(b"".join(lines[:8])) == ()
    assert [f.kind for f in parser.findings] == [Kind.WARNING]
    assert [f.kind for f in parser.feed(b"".join(lines[8:]))] == [Kind.WARNING]
    assert parser.finish() == parser.findings


def test_a_panic_is_known_at_its_first_line() -> None:
    parser = ConsoleParser()
    parser.feed(b"[    0.1] x\n")
    assert not parser.dying
    parser.feed(b"[    0.512140] Kernel panic - not syncing: why\n")
    assert parser.dying


def test_the_same_bug_elsewhere_has_the_same_signature() -> None:
    def log(line: int, offset: int, cpu: int) -> bytes:
        return (
            f"[    6.00000{cpu}] WARNING: CPU: {cpu} PID: {line} at virt/kvm/a.c:{line} "
            f"foo.constprop.0+{offset:#x}/0xa0\n[    7.000000] ---[ end trace 00 ]---\n"
        ).encode()

    first, second = _one(log(12, 0x10, 0)), _one(log(99, 0x33, 3))
    assert first.title != second.title
    assert first.signature == second.signature == "WARNING at virt/kvm/a.c foo"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("died at ffff888004a10010 and 0xdead", "died at ADDR and ADDR"),
        ("in foo+0x12/0x40 of sh/123", "in foo of sh/N"),
        ("CPU#3 stuck, cpu 4 too", "CPU stuck, cpu too"),
        ("mm/slub.c:123:4 bar.isra.0.cold", "mm/slub.c bar"),
        ("x86 deadbeef decade of feedback", "x86 deadbeef decade of feedback"),
    ],
)
def test_normalise_drops_what_varies(text: str, normal: str) -> None:
    assert normalise(text) == normal


def test_invalid_utf8_and_nul_bytes_are_harmless() -> None:
    data = b"\xff\xfe[    1.000000] \x00Kernel panic - not syncing: b\xc3\xff\xfed\n"
    assert _one(data).reason is Reason.KERNEL_PANIC


def test_a_line_without_end_is_capped_and_the_next_is_read() -> None:
    parser = ConsoleParser()
    for _ in range(200):
        parser.feed(b"x" * 10_000)
    parser.feed(b"\n[    1.000000] Kernel panic - not syncing: late\n")
    assert max(len(line) for line in parser.tail) <= MAX_LINE_BYTES
    assert [f.first_line for f in parser.finish()] == [2]


def test_redrawn_progress_line_does_not_hide_what_follows() -> None:
    data = b"10%\r50%\r100%\r[    1.000000] Kernel panic - not syncing: x\r\n"
    assert _one(data).title == "Kernel panic: x"


def test_a_flood_of_warnings_is_bounded_and_the_panic_still_seen() -> None:
    parser = ConsoleParser()
    for i in range(500):
        parser.feed(
            f"[    1.{i:06}] WARNING: CPU: 0 PID: 1 at a.c:{i} f_{i}+0x1/0x2\n"
            f"[    1.{i:06}] ---[ end trace 0 ]---\n".encode()
        )
    parser.feed(b"[    9.000000] Kernel panic - not syncing: x\n")
    assert len(parser.finish()) == MAX_FINDINGS + 1
    assert parser.findings[-1].reason is Reason.KERNEL_PANIC


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("kasan", Reason.KERNEL_OOPS),
        ("null_deref_then_panic", Reason.KERNEL_OOPS),
        ("rcu_stall", Reason.HANG),
        ("lockdep_circular", Reason.KERNEL_WARNING),
    ],
)
def test_a_flood_of_one_warning_hides_nothing_that_follows(name: str, reason: Reason) -> None:
    parser = ConsoleParser()
    for i in range(500):
        parser.feed(
            f"[    1.{i:06}][    T1] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n"
            f"[    1.{i:06}][    T1] ---[ end trace 0 ]---\n".encode()
        )
    assert len(parser.findings) == MAX_ALIKE
    parser.feed(_sample(name))
    assert reason in {finding.reason for finding in parser.finish()[MAX_ALIKE:]}


def test_a_panic_closed_by_its_mark_does_not_swallow_the_next_boot() -> None:
    data = _sample("panic_no_root") + _sample("warning")
    assert [f.kind for f in parse_console(data)] == [Kind.PANIC, Kind.WARNING]


def test_tail_holds_the_last_clean_lines() -> None:
    parser = ConsoleParser()
    parser.feed(b"".join(b"\x1b[32mline %d\x1b[0m\r\n" % i for i in range(100)))
    assert list(parser.tail)[-2:] == ["line 98", "line 99"]


@pytest.mark.parametrize(
    ("raw", "message", "caller", "stamped"),
    [
        ("[    1.234567] hello", "hello", "", True),
        ("[12345.234567][   T12]  frame", " frame", "T12", True),
        ("<4>[    1.234567][    C0] hello", "hello", "C0", True),
        ("[    T1] no time", "no time", "T1", True),
        ("<6>level only", "level only", "", False),
        ("plain", "plain", "", False),
        ("[  OK  ] Started unit", "[  OK  ] Started unit", "", False),
        ("user [    1.234567] kernel", "kernel", "", True),
        ("[    1.234567]", "", "", True),
    ],
)
def test_printk_prefixes(raw: str, message: str, caller: str, stamped: bool) -> None:
    line = parse_line(1, raw)
    assert (line.message, line.caller, line.stamped) == (message, caller, stamped)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "filler", ["(", "(a", "[ 1", "\x1b[1", "in a:1 ", "0x0 ", "=", "task x:1 "]
)
@pytest.mark.parametrize(
    "start",
    [
        "[    1.000000] WARNING: possible recursive locking detected",
        "[    1.000000] INFO: task ",
        "[    1.000000] UBSAN: ",
        "[    1.000000] Oops: ",
        "[    1.000000] BUG: ",
        "[    1.000000] refcount_t: underflow",
    ],
)
def test_hostile_lines_cost_no_time(start: str, filler: str) -> None:
    """A guest can write anything: no pattern may take exponential or cubic time on it."""
    line = (filler * MAX_LINE_BYTES)[: MAX_LINE_BYTES - 64]
    body = "".join(f"[    1.{i:06}] {line}\n" for i in range(100))
    parse_console(f"{start}{line}\n{start}\n{body}")
