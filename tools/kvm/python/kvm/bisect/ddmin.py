# SPDX-License-Identifier: GPL-2.0-only
"""The smallest set of differences that still causes the failure (ddmin, Zeller 2002). Pure.

Sets that can't tell (for example, do not build) are neither good nor bad; they are skipped.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

from kvm.bisect.model import Mark

T = TypeVar("T")


def minimal(differences: Sequence[T], test: Callable[[Sequence[T]], Mark]) -> tuple[T, ...]:
    """A bad subset from which no single element can be removed.

    All of ``differences`` together are known to be bad, and none of them to be good. Their order is
    kept, so neighbours, which often belong together, stay together longest.
    """
    left = tuple(differences)
    parts = 2
    while len(left) >= 2:
        chunks = _split(left, parts)
        smaller = next((chunk for chunk in chunks if test(chunk) is Mark.BAD), None)
        if smaller is not None:
            left, parts = smaller, 2
            continue
        rests = (_without(left, chunk) for chunk in chunks) if parts > 2 else iter(())
        rest = next((rest for rest in rests if test(rest) is Mark.BAD), None)
        if rest is not None:
            left, parts = rest, max(parts - 1, 2)
            continue
        if parts >= len(left):
            break
        parts = min(2 * parts, len(left))
    return left


def _split(items: tuple[T, ...], parts: int) -> list[tuple[T, ...]]:
    bounds = [len(items) * n // parts for n in range(parts + 1)]
    return [items[a:b] for a, b in itertools.pairwise(bounds) if b > a]


def _without(items: tuple[T, ...], chunk: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(item for item in items if item not in chunk)
