# SPDX-License-Identifier: GPL-2.0-only
"""From what a person asks for to the cells that are run. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kvm.errors import UserError
from kvm.matrix.cell import AXES, Cell
from kvm.matrix.plan import Plan, Value
from kvm.run.words import split

USER_WORKLOAD = "user"


@dataclass(frozen=True, slots=True)
class Selection:
    """``axes`` are ``AXIS=VALUE,...`` as typed; ``workload`` is a command line of the user's."""

    subset: str = "ci"
    axes: tuple[str, ...] = ()
    expression: str = ""
    workload: str = ""


def select(plan: Plan, wanted: Selection) -> tuple[Cell, ...]:
    """The cells, before ``-k``, which is pytest's; but a whole id as ``-k`` is that cell alone,
    so that nothing is built for others. Raises ``UserError`` for an empty selection."""
    axes = parse_axes(plan, wanted.axes)
    if wanted.workload:
        block = {**axes, "workload": plan.axes["workload"][:1]}
        return tuple(replace(cell, workload=USER_WORKLOAD) for cell in plan.product(block))
    cells = plan.cells(wanted.subset)
    chosen = tuple(
        cell
        for cell in cells
        if all(cell.axes[axis] in map(str, values) for axis, values in axes.items())
    )
    named = tuple(cell for cell in chosen if cell.id == wanted.expression)
    if not chosen:
        asked = " ".join(f"--axis {axis}" for axis in wanted.axes) or "nothing"
        raise UserError(
            f"no cell of subset {wanted.subset} has {asked}",
            "see ./invoke test --matrix --list, or take a larger --subset",
        )
    return named or chosen


def parse_axes(plan: Plan, words: Sequence[str]) -> dict[str, tuple[Value, ...]]:
    """``vcpus=1,2`` → {"vcpus": (1, 2)}; an unknown axis or value is named."""
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
        axes[axis] = tuple(known[value] for value in values)
    return axes
