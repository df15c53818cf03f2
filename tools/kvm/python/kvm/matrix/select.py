# SPDX-License-Identifier: GPL-2.0-only
"""Selects the cells that a user asks for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kvm.errors import UserError
from kvm.matrix.cell import AXES, Cell
from kvm.matrix.plan import Plan, Value
from kvm.spec.words import split

USER_WORKLOAD = "user"
_EXPRESSION = "write parts of cells' ids, with and, or, not and parentheses between"


@dataclass(frozen=True, slots=True)
class Selection:
    """``axes`` are ``AXIS=VALUE,...`` as typed; ``workload`` is the user's own command line.

    ``shard`` is ``NUMBER/COUNT`` as typed: which share of all these cells (``shard.py``).
    """

    subset: str = "ci"
    axes: tuple[str, ...] = ()
    expression: str = ""
    workload: str = ""
    shard: str = ""


def select(plan: Plan, wanted: Selection) -> tuple[Cell, ...]:
    """The cells to run and build for; ``-k`` may leave none. Raises ``UserError``."""
    axes = parse_axes(plan, wanted.axes)
    if wanted.workload:
        block = {**axes, "workload": plan.axes["workload"][:1]}
        chosen = tuple(replace(cell, workload=USER_WORKLOAD) for cell in plan.product(block))
    else:
        chosen = tuple(
            cell
            for cell in plan.cells(wanted.subset)
            if all(cell.axes[axis] in map(str, values) for axis, values in axes.items())
        )
    if not chosen:
        asked = " ".join(f"--axis {axis}" for axis in wanted.axes) or "nothing"
        raise UserError(
            f"no cell of subset {wanted.subset} has {asked}",
            "see ./invoke test --matrix --list, or take a larger --subset",
        )
    return matching(chosen, wanted.expression)


def matching(cells: tuple[Cell, ...], expression: str) -> tuple[Cell, ...]:
    """The cells that ``-k`` selects, by pytest's rules for test names; a whole id selects one cell.

    Raises ``UserError`` for an invalid expression.
    """
    if not expression.strip():
        return cells
    if named := tuple(cell for cell in cells if cell.id == expression):
        return named
    # Not at the top: it takes a while, and its place in pytest is not guaranteed.
    from _pytest.mark.expression import Expression

    def is_wanted(cell: Cell) -> bool:
        def occurs(word: str, /, **values: object) -> bool:
            if values:
                raise UserError(f"-k {expression}: {word} takes no values", _EXPRESSION)
            return word.lower() in f"test_cell[{cell.id}]".lower()

        return compiled.evaluate(occurs)

    try:
        compiled = Expression.compile(expression)
    except SyntaxError as wrong:
        raise UserError(f"-k {expression}: {wrong.msg}", _EXPRESSION) from None
    return tuple(cell for cell in cells if is_wanted(cell))


def parse_axes(plan: Plan, words: Sequence[str]) -> dict[str, tuple[Value, ...]]:
    """``vcpus=1,2``, in one or more words → {"vcpus": (1, 2)}; errors name the unknown one."""
    axes: dict[str, tuple[Value, ...]] = {}
    for word in words:
        axis, equals, text = word.partition("=")
        if not equals or axis not in AXES:
            raise UserError(f"--axis {word}: no axis {axis!r}", f"use AXIS=VALUE,... of {AXES}")
        known = {str(value): value for value in plan.axes[axis]}
        values = split(text)
        for value in values:
            if value not in known:
                raise UserError(
                    f"--axis {word}: {axis} has no value {value!r}",
                    f"use {', '.join(known)}, or add it to {plan.path.name}",
                )
        more = (known[value] for value in values)
        axes[axis] = tuple(dict.fromkeys((*axes.get(axis, ()), *more)))
    return axes
