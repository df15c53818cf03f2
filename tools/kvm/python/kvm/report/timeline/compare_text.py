# SPDX-License-Identifier: GPL-2.0-only
"""A comparison of boots as a text table of medians, in ms and s."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kvm.output.words import one_line, plural
from kvm.report.timeline.chart import cut
from kvm.report.timeline.compare import Change, Comparison, Sample
from kvm.report.timeline.scale import words

_MAX_ROWS = 20
_MAX_NAME = 40
_MAX_SIDE = 20
_LEAST_SHOWN_S = 5e-6
_NONE = "-"
Row = tuple[str, str, str, str, str]


def table(comparison: Comparison, *, before_name: str, after_name: str) -> str:
    """The table, newline-terminated."""
    sides = (one_line(before_name, _MAX_SIDE), one_line(after_name, _MAX_SIDE))
    blocks = [
        _block("Stages", comparison.stages, sides, has_verdict=True),
        _block("Slower initcalls", comparison.slower, sides),
        _block("Faster initcalls", comparison.faster, sides),
        _block("New initcalls", comparison.new, sides),
        _block("Gone initcalls", comparison.gone, sides),
        _ending(comparison),
    ]
    head = (
        f"{sides[0]}: {plural(comparison.before_boots, 'boot')},"
        f" {sides[1]}: {plural(comparison.after_boots, 'boot')}; medians"
    )
    return "\n\n".join([head, *("\n".join(block) for block in map(list, blocks) if block)]) + "\n"


def _ending(comparison: Comparison) -> list[str]:
    if comparison.notes:
        return list(comparison.notes)
    return [f"{plural(comparison.same, 'initcall')} without a difference that counts."]


def _block(
    title: str, changes: Sequence[Change], sides: tuple[str, str], *, has_verdict: bool = False
) -> list[str]:
    if not changes:
        return []
    rows: list[Row] = [(title, *sides, "difference", "")]
    rows += [_row(change, has_verdict) for change in changes[:_MAX_ROWS]]
    lines = list(_aligned(rows))
    if len(changes) > _MAX_ROWS:
        lines.append(f"… {len(changes) - _MAX_ROWS} more")
    return lines


def _row(change: Change, has_verdict: bool) -> Row:
    verdict = change.verdict if has_verdict and change.verdict != "same" else ""
    return (
        cut(one_line(change.name), _MAX_NAME),
        _median(change.before),
        _median(change.after),
        _difference(change),
        verdict,
    )


def _median(sample: Sample | None) -> str:
    return _NONE if sample is None else words(sample.median_s)


def _difference(change: Change) -> str:
    if abs(change.difference_s) < _LEAST_SHOWN_S:
        return "0"
    sign = "+" if change.difference_s > 0 else ""
    text = f"{sign}{words(change.difference_s)}"
    if change.before is None or change.after is None or change.before.median_s <= 0:
        return text
    percent = change.difference_s / change.before.median_s * 100
    return f"{text} ({percent:+.0f} %)" if abs(percent) < 10_000 else text


def _aligned(rows: Sequence[Row]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for name, *numbers, verdict in rows:
        fields = [name.ljust(widths[0])]
        fields += [n.rjust(width) for n, width in zip(numbers, widths[1:-1], strict=True)]
        yield "  ".join([*fields, verdict]).rstrip()
