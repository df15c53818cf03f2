# SPDX-License-Identifier: GPL-2.0-only
"""Remembers the commits of the first patches of a series, so that they are not applied again.

A checkout that goes back and forth in history, as in a bisection, has series that differ only in
their last patches. The memory is kept in the kernel tree's git folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kvm.files import write_whole
from kvm.kernel.git import Repository

_FILE = "tools-kvm-series.json"
_KEPT = 512


@dataclass(slots=True)
class SeriesMemory:
    """Commits, by a digest of the base and the contents of all patches up to each."""

    repository: Repository
    base: str
    path: Path
    commits: dict[str, str]

    @classmethod
    def load(cls, repository: Repository, base: str) -> SeriesMemory:
        path = repository.git_dir / _FILE
        try:
            found = json.loads(path.read_text())
            commits = {str(key): str(value) for key, value in found.items()}
        except (OSError, ValueError, AttributeError):
            commits = {}
        return cls(repository, base, path, commits)

    def longest(self, patches: Sequence[Path]) -> tuple[int, str]:
        """How many of the patches are already committed, and the commit of the last of them."""
        digests = self._digests(patches)
        for count in range(len(patches), 0, -1):
            commit = self.commits.get(digests[count - 1])
            if commit is not None and self.repository.commit_of(commit) is not None:
                return count, commit
        return 0, self.base

    def add(self, patches: Sequence[Path], commit: str) -> None:
        self.commits[self._digests(patches)[-1]] = commit

    def save(self) -> None:
        newest = list(self.commits.items())[-_KEPT:]
        write_whole(self.path, json.dumps(dict(newest), indent=1))

    def _digests(self, patches: Sequence[Path]) -> list[str]:
        digest = hashlib.sha256(self.base.encode())
        found = []
        for patch in patches:
            digest.update(hashlib.sha256(patch.read_bytes()).digest())
            found.append(digest.hexdigest())
        return found
