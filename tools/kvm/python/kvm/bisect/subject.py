# SPDX-License-Identifier: GPL-2.0-only
"""The interface of a test to bisect: it is built at a commit, or from two commits, and run.

It is a matrix cell, a pytest test or the user's own command; each is a module of ``subjects``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kvm.bisect.model import Axis, Mix, Run
from kvm.say import Say


@dataclass(frozen=True, slots=True)
class Built:
    """A test that is ready to run. Equal keys mean equal in all that the test can see.

    ``seconds`` is how long building took; ``kernel`` and ``vmm`` are ids ("" if unknown).
    """

    key: str
    name: str
    run: Callable[[], Run]
    kernel: str = ""
    vmm: str = ""
    seconds: float = 0.0


class Unbuildable(Exception):
    """A commit whose halves can't be built, so it can't tell. The text is a line why."""


class NoSuchTest(Exception):
    """The test does not exist at that commit."""


class Subject(Protocol):
    """A test. ``axes`` are the parts that can come from different commits."""

    @property
    def words(self) -> str:
        """Its name for people."""

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The parts that may be mixed, in the order in which blame is reported."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Commits that touch none of these paths can't matter ((): all may)."""

    def build(self, mix: Mix, say: Say) -> Built:
        """Build what is missing. Raises ``Unbuildable``, ``NoSuchTest``."""

    def repeat(self, commit: str) -> str:
        """A command line that shows the test's verdict at ``commit``."""

    def close(self) -> None:
        """End whatever it keeps running."""
