# SPDX-License-Identifier: GPL-2.0-only
"""The matrix as a table: a row per workload, a column per machine.

On a narrow screen the table becomes a list of labelled links. That is why the roles are explicit:
CSS that changes ``display`` removes a table's semantics.
"""

from __future__ import annotations

from kvm.matrix.cell import ALWAYS_NAMED, AXES, Cell
from kvm.output.words import SYMBOLS, duration, plural
from kvm.report.kit.marks import colour
from kvm.report.kit.tag import Markup, tag
from kvm.report.matrix.view import View
from kvm.results.model import CellResult
from kvm.verdict.vocabulary import Reason

Column = tuple[str, ...]

_DEFAULTS = Cell().axes


def grid(view: View, anchors: dict[str, str]) -> Markup:
    results = list(view.cells.values())
    axes = _varying(results)
    columns = list(dict.fromkeys(_column(result, axes) for result in results))
    rows: dict[str, dict[Column, list[CellResult]]] = {}
    for result in results:
        row = rows.setdefault(result.axes.get("workload", ""), {})
        row.setdefault(_column(result, axes), []).append(result)
    head = tag(
        "tr",
        tag("th", "workload", scope="col", role="columnheader"),
        [_heading(axes, column) for column in columns],
        role="row",
    )
    body = [_row(name, row, columns, axes, anchors) for name, row in rows.items()]
    table = tag(
        "table",
        tag("caption", _caption(results, axes)),
        tag("thead", head, role="rowgroup"),
        tag("tbody", body, role="rowgroup"),
        class_="grid",
        role="table",
    )
    return tag(
        "div", table, class_="scroll box", tabindex=0, role="region", aria_label="Grid of all cells"
    )


def _varying(results: list[CellResult]) -> tuple[str, ...]:
    """The axes that distinguish columns; an axis with one value is only in the caption."""
    return tuple(
        axis
        for axis in AXES
        if axis != "workload" and len({result.axes.get(axis, "") for result in results}) > 1
    )


def _column(result: CellResult, axes: tuple[str, ...]) -> Column:
    return tuple(result.axes.get(axis, "") for axis in axes)


def _value(axis: str, value: str) -> str:
    if axis == "vcpus":
        return plural(int(value), "vCPU") if value.isdecimal() else value
    return f"{value} MiB" if axis == "memory" else value


def _words(axes: tuple[str, ...], column: Column) -> list[str]:
    """The words as in a cell's id: obvious defaults are left out."""
    pairs = list(zip(axes, column, strict=True))
    shown = [
        _value(axis, value)
        for axis, value in pairs
        if axis in ALWAYS_NAMED or value != _DEFAULTS.get(axis)
    ]
    return shown or [_value(axis, value) for axis, value in pairs] or ["verdict"]


def _heading(axes: tuple[str, ...], column: Column) -> Markup:
    lines = [tag("span", word, class_="axis") for word in _words(axes, column)]
    return tag("th", lines, scope="col", role="columnheader")


def _caption(results: list[CellResult], axes: tuple[str, ...]) -> str:
    if not results:
        return "No cell has a result."
    fixed = [
        f"{axis} {results[0].axes.get(axis, '')}"
        for axis in AXES
        if axis not in (*axes, "workload") and results[0].axes.get(axis)
    ]
    everywhere = f" All cells: {', '.join(fixed)}." if fixed else ""
    return f"{plural(len(results), 'cell')}; each leads to its details.{everywhere}"


def _row(
    name: str,
    row: dict[Column, list[CellResult]],
    columns: list[Column],
    axes: tuple[str, ...],
    anchors: dict[str, str],
) -> Markup:
    fields = [
        tag(
            "td",
            [_link(result, " ".join(_words(axes, column)), anchors) for result in row[column]],
            role="cell",
        )
        if column in row
        else tag("td", class_="none", role="cell")
        for column in columns
    ]
    return tag("tr", tag("th", name, scope="row", role="rowheader"), fields, role="row")


def _link(result: CellResult, where: str, anchors: dict[str, str]) -> Markup:
    is_plain = result.reason in (Reason.OK, Reason.NONE)
    small = duration(result.seconds) if is_plain else result.reason.value
    return tag(
        "a",
        tag("span", SYMBOLS[result.verdict], aria_hidden="true"),
        f" {result.verdict.value} ",
        tag("span", f"{where} ", class_="where"),
        tag("small", small),
        href=f"#{anchors[result.cell]}",
        class_=colour(result.verdict),
    )
