# SPDX-License-Identifier: GPL-2.0-only
"""What a bisection tests: something that is built at a commit, or of two commits, and run.

A matrix cell, a pytest test or a command of the user's own; each is a module of ``subjects``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kvm.bisect.model import Axis, Mix, Run
from kvm.say import Say


@dataclass(frozen=True, slots=True)
class Built:
    """Ready to run. Equal keys are equal in all that the test can see.

    ``seconds`` is what building took; ``kernel`` and ``vmm`` are ids ("" when not known).
    """

    key: str
    name: str
    run: Callable[[], Run]
    kernel: str = ""
    vmm: str = ""
    seconds: float = 0.0


class Unbuildable(Exception):
    """A commit whose halves can't be built: it can't tell. The text is a line why."""


class NoSuchTest(Exception):
    """The test is not there at that commit."""


class Subject(Protocol):
    """A test. ``axes`` are what can come from different commits."""

    @property
    def words(self) -> str:
        """Its name for people."""

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What may be mixed, in the order in which blame is told."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Commits that touch none of these can't matter ((): all may)."""

    def build(self, mix: Mix, say: Say) -> Built:
        """Build what is missing. Raises ``Unbuildable``, ``NoSuchTest``."""

    def repeat(self, commit: str) -> str:
        """A command line that shows the test's verdict at ``commit``."""

    def close(self) -> None:
        """End what it keeps running."""
