# SPDX-License-Identifier: GPL-2.0-only
"""Source files of the checkout that a bench edits, and leaves as it found them."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kvm.errors import UserError

_MARK = "/* ./invoke bench edit */"
# Two benches start more than a second apart for each hundred edits of the first.
_EDITS, _SECONDS = 100, 20_000_000


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file, and a line of C or C++ that changes what is compiled of it.

    ``{number}`` in ``line`` makes each edit a new one, which no cache knows: see ``new_numbers``.
    """

    path: Path
    line: str

    def edit(self, number: int) -> None:
        """Add the line, in place of the one of an earlier edit."""
        added = f"{self.line.format(number=number)} {_MARK}\n"
        self.path.write_text("".join((*_users_lines(self.path), added)))

    def restore(self) -> None:
        """Take the line out; whatever else was changed meanwhile is kept."""
        lines = self.path.read_text().splitlines(keepends=True)
        kept = _users_lines(self.path)
        if kept != lines:
            self.path.write_text("".join(kept))


def new_numbers() -> Iterator[int]:
    """Numbers that no earlier bench has used, small enough for an int of C."""
    return itertools.count(int(time.time()) % _SECONDS * _EDITS)


@contextlib.contextmanager
def restored(files: Sequence[SourceFile]) -> Iterator[None]:
    """Restore the files at the end, and first if a killed bench has left its lines in them."""
    for file in files:
        if not file.path.is_file():
            raise UserError(
                f"{file.path} is missing, in which this bench edits a line",
                "run it on a tree that has the file",
            )
    try:
        for file in files:
            file.restore()
        yield
    finally:
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                file.restore()


def _users_lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines(keepends=True) if _MARK not in line]
