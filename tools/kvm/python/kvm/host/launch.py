# SPDX-License-Identifier: GPL-2.0-only
"""Starts a lab host's agent from a bundle: one file that holds all its modules, compiled.

Run as a script in the lab host: ``python3 -I -S launch.py BUNDLE IDLE_SECONDS PRELOAD``,
where PRELOAD is a file that names the VMM to import first. There every file looked for,
found or read is a round trip to the developer's machine and costs more than the import
itself, so a bundle (made by ``bundle.py``) also says where extension modules are and
which optional modules don't exist. Imports next to nothing.
"""

from __future__ import annotations

import marshal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ExtensionFileLoader, ModuleSpec
    from types import ModuleType
else:
    from _frozen_importlib import ModuleSpec
    from _frozen_importlib_external import ExtensionFileLoader


class Bundle:
    """A finder and loader of the modules in one bundle file."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as stream:  # noqa: PTH123 (pathlib is slow to import)
            self._entries = marshal.loads(stream.read())

    def install(self) -> None:
        """Look here before anywhere else."""
        sys.meta_path.insert(0, self)

    def uninstall(self) -> None:
        sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self._entries:
            return None
        kind, origin, _ = self._entries[name]
        if kind == "missing":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if kind == "extension":
            return ModuleSpec(name, ExtensionFileLoader(name, origin), origin=origin)
        spec = ModuleSpec(name, self, origin=origin, is_package=kind == "package")  # type: ignore[arg-type]
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(origin.rpartition("/")[0])
        spec.has_location = True
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """None: an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        exec(marshal.loads(self._entries[module.__name__][2]), module.__dict__)


def main(bundle: str, idle_s: str, preload: str) -> int:
    agent_bundle = Bundle(bundle)
    agent_bundle.install()
    from kvm.host.agent import serve_port

    return serve_port(float(idle_s), preload, agent_bundle.uninstall)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
