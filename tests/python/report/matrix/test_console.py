# SPDX-License-Identifier: GPL-2.0-only
"""The lines of a console that are shown, and those that are marked."""

from __future__ import annotations

from pathlib import Path

from kvm.report.matrix.console import MAX_BYTES, excerpt, read

_OOPS = [
    "[    1.002001] BUG: kernel NULL pointer dereference, address: 0000000000000008",
    "[    1.002003] Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI",
    "[    1.002006] Call Trace:",
    "[    1.002008]  vring_interrupt+0x6e/0xb0",
    "[    1.002010] ---[ end trace 0000000000000000 ]---",
]


def _boring(count: int) -> list[str]:
    return [f"[    0.1{number:05d}] initcall {number}" for number in range(count)]


def _data(*groups: list[str]) -> bytes:
    return "".join(f"{line}\n" for group in groups for line in group).encode()


def test_a_short_console_is_shown_whole() -> None:
    log = excerpt(_data(_boring(5)), ())
    assert [row.number for row in log.rows] == [1, 2, 3, 4, 5]
    assert (log.total, log.marked) == (5, 0)


def test_the_kernels_reports_are_marked() -> None:
    log = excerpt(_data(_boring(5), _OOPS, _boring(3)), ())
    assert [row.number for row in log.rows if row.marked] == [6, 7, 8, 9, 10]


def test_lines_known_as_evidence_are_marked() -> None:
    log = excerpt(_data(_boring(5)), ["[    0.100003] initcall 3", "", "unheard of"])
    assert [row.number for row in log.rows if row.marked] == [4]


def test_a_long_console_is_its_reports_in_context_and_its_tail() -> None:
    log = excerpt(_data(_boring(1000), _OOPS, _boring(1000)), (), limit=40)
    shown = [row.number for row in log.rows if not row.is_gap]
    assert len(shown) == 40
    assert shown[:18] == [*range(995, 1012), 2005 - 22][:18]
    assert shown[-1] == log.total == 2005
    gaps = [row.text for row in log.rows if row.is_gap]
    assert gaps == ["… 994 lines left out …", "… 971 lines left out …"]


def test_a_guest_that_reports_for_ever_keeps_the_tail() -> None:
    log = excerpt(_data(*[_OOPS] * 500, ["[    9.000000] the end"]), (), limit=100)
    assert log.rows[-1].text == "[    9.000000] the end"
    assert sum(not row.is_gap for row in log.rows) == 100


def test_lines_are_clean_and_bounded() -> None:
    log = excerpt(b"\x1b[2J<b>\x00\xff\n" + b"x" * 5000 + b"\n", ())
    assert log.rows[0].text == "<b>\ufffd"
    assert len(log.rows[1].text) == 500


def test_a_huge_log_is_read_from_its_end_and_numbered_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    lines = MAX_BYTES // 100 + 500
    path.write_bytes((b"x" * 99 + b"\n") * lines)
    log = read(path, "shown", (), limit=10)
    assert log.total == log.rows[-1].number == lines
    assert log.path == "shown"


def test_a_missing_log_is_empty(tmp_path: Path) -> None:
    log = read(tmp_path / "console.log", "there/console.log", ())
    assert (log.rows, log.path) == ((), "there/console.log")
