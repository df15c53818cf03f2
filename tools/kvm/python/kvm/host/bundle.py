# SPDX-License-Identifier: GPL-2.0-only
"""Makes bundles, the files from which ``launch.py`` reads modules, and caches them by content.

A bundle is made by a child process with a bare interpreter (``-I -S``) that imports the wanted
modules and records what that took. This file is also that child's script, so it imports nothing
of the package at the top.
"""

from __future__ import annotations

import marshal
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ExtensionFileLoader, SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

Entry = tuple[str, str, bytes]


class _Recorder:
    """The last of the finders: records the names that no other finder has."""

    def __init__(self) -> None:
        self.missing: list[str] = []

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        self.missing.append(name)


def make_bundle(cache: Path, modules: Sequence[str], search: Path) -> Path:
    """The bundle of ``modules`` and all they import, with ``search`` first on the path.

    It is named by its content, and remade if one of its source files below ``search`` has
    changed. Raises ``CommandError`` if a module can't be imported.
    """
    import hashlib
    import json
    import tempfile
    from pathlib import Path

    from kvm import process
    from kvm.files import write_whole

    words = (sys.version, sys.executable, *modules, str(search))
    asked = hashlib.sha256("\0".join(words).encode() + Path(__file__).read_bytes())
    folder = cache / "bundles"
    index = folder / f"{asked.hexdigest()[:16]}.json"
    try:
        known = json.loads(index.read_text(encoding="utf-8"))
        target = folder / str(known["bundle"])
        if target.is_file() and all(_digest(n) == d for n, d in known["files"].items()):
            return target
    except (OSError, ValueError, KeyError):
        pass
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".bundle-") as scratch:
        draft = Path(scratch) / "bundle"
        script = Path(__file__).resolve()
        process.run((sys.executable, "-I", "-S", script, draft, search, *modules), timeout_s=60)
        content = draft.read_bytes()
        entries: dict[str, Entry] = marshal.loads(content)
        # Files outside it are Python's own, and change only with its version.
        origins = {origin for _, origin, _ in entries.values() if origin.startswith(str(search))}
        files = {origin: _digest(origin) for origin in sorted(origins)}
        target = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.bin"
        draft.replace(target)
    write_whole(index, json.dumps({"bundle": target.name, "files": files}))
    return target


def _digest(path: str) -> str:
    import hashlib
    from pathlib import Path

    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def collect(modules: Sequence[str]) -> dict[str, Entry]:
    """Import ``modules``; return all modules that this imported, and all that were not found."""
    recorder = _Recorder()
    sys.meta_path.append(recorder)
    for module in modules:
        import_module(module)
    entries: dict[str, Entry] = {}
    for name, loaded in sys.modules.items():
        spec = getattr(loaded, "__spec__", None)
        if spec is None or spec.origin is None or spec.name != name:
            continue
        if isinstance(spec.loader, ExtensionFileLoader):
            entries[name] = ("extension", spec.origin, b"")
        elif isinstance(spec.loader, SourceFileLoader):
            kind = "module" if spec.submodule_search_locations is None else "package"
            code = spec.loader.get_code(name)
            entries[name] = (kind, spec.origin, marshal.dumps(code))
    entries.update((name, ("missing", "", b"")) for name in recorder.missing)
    return entries


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[2])
    with open(sys.argv[1], "wb") as stream:  # noqa: PTH123 (what is imported ends in the bundle)
        marshal.dump(collect(sys.argv[3:]), stream)
