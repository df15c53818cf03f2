# SPDX-License-Identifier: GPL-2.0-only
"""Makes time stamps reliable for make and ninja.

Both build what is newer than its output, but results are named by the content of their sources. The
two disagree about a file that changed and yet looks old: one that was copied with its time stamp,
restored from a backup, or edited after the clock was set back. So a build folder remembers with
which sources it was last used, and any file that differs from them and looks older is made newer
than everything built there. If that is unknown or impossible, the folder is built from nothing,
which is quick with ccache.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from kvm.files import write_whole

RECORD = ".tools-kvm.sources"

# Environment variables that compilers read beside their arguments. They are in no id, so no build
# sees them.
HERMETIC = dict.fromkeys(("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH"), "")

# Paths that differ between the sources with that id and the current ones; None if unknown.
Changes = Callable[[str], Iterable[Path] | None]


def ccache(checkout: Path) -> dict[str, str]:
    """Words for ccache, so that an object of one checkout serves another: paths in it are relative.

    With a precompiled header it keeps nothing unless it is told that time stamps do not matter.
    """
    return {
        "CCACHE_BASEDIR": str(checkout),
        "CCACHE_NOHASHDIR": "1",
        "CCACHE_SLOPPINESS": "pch_defines,time_macros",
    }


@dataclass(frozen=True, slots=True)
class BuildFolder:
    """A folder that a build by time stamps writes to.

    ``recipe`` is what the whole folder was made for (compiler, flags, options); ``restart`` empties
    it and says so.
    """

    path: Path
    recipe: str
    restart: Callable[[str], None]

    def follow(self, sources: str, changes: Changes) -> None:
        """Before a build: make the folder fit ``sources``, an id (or a listing) of their content.

        The record is written last, so that after a kill all of this is done again.
        """
        known = self._read()
        if known == (self.recipe, sources):
            return
        reason = self._why_from_nothing(known, changes)
        if reason:
            self.restart(reason)
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self._record, json.dumps([self.recipe, sources]))

    def built(self) -> None:
        """After a build, failed or not, note the time: a clock before it was set back."""
        os.utime(self._record)

    @property
    def _record(self) -> Path:
        return self.path / RECORD

    def _read(self) -> tuple[str, str] | None:
        try:
            recipe, sources = json.loads(self._record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return str(recipe), str(sources)

    def _why_from_nothing(self, known: tuple[str, str] | None, changes: Changes) -> str:
        if known is None:
            used = self.path.is_dir() and any(self.path.iterdir())
            return "nobody knows what was built there" if used else ""
        recipe, sources = known
        if recipe != self.recipe:
            return "the compiler or its flags changed"
        if self._clock_went_back():
            return "the clock was set back"
        changed = changes(sources)
        if changed is None:
            return "its sources of last time are not known any more"
        try:
            last = self._record.stat().st_mtime_ns
            for path in changed:
                if path.exists() and path.stat().st_mtime_ns <= last:
                    os.utime(path)
        except OSError as refused:
            return f"{refused.filename} cannot be marked as changed ({refused.strerror})"
        return ""

    def _clock_went_back(self) -> bool:
        """Compare by the clock of the folder's file system, which stamps what is built there."""
        last = self._record.stat().st_mtime_ns
        probe = self._record.with_suffix(".now")
        probe.touch()
        now = probe.stat().st_mtime_ns
        probe.unlink()
        return now < last


def listing(files: Iterable[Path], root: Path) -> str:
    """The listing of ``files``: each path below ``root`` with a hash of its content."""
    return json.dumps(
        {
            str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
        }
    )


def listed_changes(now: str, root: Path) -> Changes:
    """``Changes`` between an earlier ``listing`` and ``now``."""
    present: dict[str, str] = json.loads(now)

    def changes(before: str) -> Iterable[Path] | None:
        try:
            past = json.loads(before)
        except ValueError:
            return None
        return [root / name for name, digest in present.items() if past.get(name) != digest]

    return changes
