# SPDX-License-Identifier: GPL-2.0-only
"""The table of blame: kernels down, VMMs across, older before newer."""

from __future__ import annotations

from kvm.bisect.model import Report
from kvm.report.bisect.grid import grid, words


def _marks(report: Report) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    found = grid(report)
    assert found is not None
    return found.columns, {row.name: [words(cell) for cell in row.cells] for row in found.rows}


def test_two_halves_make_two_by_two(ranged: Report) -> None:
    assert _marks(ranged) == (
        ("VMM before", "VMM after"),
        {"kernel before": ["good", "good"], "kernel after": ["skip", "bad"]},
    )


def test_sides_of_the_kernel_that_were_told_apart_have_rows_of_their_own(
    interaction: Report,
) -> None:
    _, rows = _marks(interaction)
    assert list(rows.items()) == [
        ("kernel before", ["good", "good"]),
        ("KVM after, guest before", ["-", "bad"]),
        ("KVM before, guest after", ["-", "skip"]),
        ("kernel after", ["good", "bad (2 of 5)"]),
    ]


def test_of_a_fix_what_fails_comes_before(fixed: Report) -> None:
    assert _marks(fixed) == (("VMM before", "VMM after"), {"same kernel": ["bad", "good"]})


def test_a_half_that_does_not_differ_is_the_same(hostile: Report) -> None:
    columns, rows = _marks(hostile)
    assert columns == ("same VMM",)
    assert list(rows) == ["kernel before", "kernel after"]


def test_the_legend_says_what_before_is(interaction: Report, ranged: Report) -> None:
    found, left = grid(interaction), grid(ranged)
    assert found is not None and "the parent of 292929292929" in found.legend
    assert left is not None and "last good commit" in left.legend


def test_without_blame_there_is_no_table(bare: Report) -> None:
    assert grid(bare) is None
    assert words(None) == "-"
