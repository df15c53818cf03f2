# SPDX-License-Identifier: GPL-2.0-only
"""A build of KVM's modules alone, where nothing else changed since the whole kernel was built.

make for a kernel visits every folder and links the image, whatever changed: 6 s on two cores. The
modules of KVM have objects of their own, so if no other source changed and no other object has
read a file of KVM's, the rest of the build is what make would make again. make itself is asked
for the modules.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kvm.files import write_whole

_RECORD = ".tools-kvm.whole"
_FOLDERS = ("virt/kvm", "arch/x86/kvm")
_SOURCES = (".c", ".h", ".S")


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole build: of which source (its id) and config, and its modules (paths in the folder)."""

    source: str
    config: str
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WholeBuild:
    """Remembers for what all of a build folder was built."""

    out: Path

    def read(self) -> Whole | None:
        """None if the folder holds no whole build."""
        try:
            source, config, names = json.loads(self._record.read_text())
            return Whole(str(source), str(config), tuple(map(str, names)))
        except (OSError, ValueError):
            return None

    def begin(self) -> None:
        """A whole build begins: until it is done, nobody knows what the folder holds."""
        self._record.unlink(missing_ok=True)

    def done(self, whole: Whole) -> None:
        write_whole(self._record, json.dumps([whole.source, whole.config, whole.modules]))

    def suffices(
        self, known: Whole, config: str, changed: Sequence[Path] | None, tree: Path
    ) -> bool:
        """Whether the modules of ``known`` are all that has to be made anew.

        ``changed`` are the paths that differ from its source; None: that is not known.
        """
        has_kvm = any(_is_kvms(Path(name)) for name in known.modules)
        if not changed or not has_kvm or known.config != config:
            return False
        names = [path.relative_to(tree) for path in changed]
        if not all(_is_kvms(name) and name.suffix in _SOURCES for name in names):
            return False
        return all(path.exists() for path in changed) and not self._is_read_elsewhere(names)

    def _is_read_elsewhere(self, names: Sequence[Path]) -> bool:
        """Whether an object outside KVM was made from one of the files, by kbuild's records."""
        words = [str(name).encode() for name in names]
        for record in self.out.rglob(".*.cmd"):
            if _is_kvms(record.relative_to(self.out)):
                continue
            text = record.read_bytes()
            if any(word in text for word in words):
                return True
        return False

    @property
    def _record(self) -> Path:
        return self.out / _RECORD


def _is_kvms(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in _FOLDERS)
