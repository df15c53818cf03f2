# SPDX-License-Identifier: GPL-2.0-only
"""Shares the cells of a matrix out to machines that know nothing of each other.

Each is told its number and how many there are, and computes the same shares from the same
revision: the longest cells first, each to the shard that has the least to do so far.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kvm.errors import UserError
from kvm.matrix.cell import Cell
from kvm.matrix.durations import longest_first

_TEXT = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")


@dataclass(frozen=True, slots=True)
class Shard:
    """Part ``number`` of ``count``, from 1 on."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``2/3``. Raises ``UserError``."""
        match = _TEXT.fullmatch(text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UserError(f"--shard {text}", "write NUMBER/COUNT, such as 1/3, 2/3 and 3/3")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def share(self, cells: Sequence[Cell], cost: Callable[[Cell], float]) -> tuple[Cell, ...]:
        """The cells of this shard, in their order among ``cells``; ``cost`` is in seconds."""
        loads = [0.0] * self.count
        ours: set[str] = set()
        for cell in longest_first(cells, cost):
            least = loads.index(min(loads))
            loads[least] += cost(cell)
            if least == self.number - 1:
                ours.add(cell.id)
        return tuple(cell for cell in cells if cell.id in ours)
