# SPDX-License-Identifier: GPL-2.0-only
"""Starts a lab host's agent from a bundle: one file that holds all its modules, compiled.

Run as a script in the lab host: ``python3 -I -S launch.py BUNDLE IDLE_SECONDS SPARED``.
A bundle (made by ``bundle.py``) also says where extension modules are and which optional modules
don't exist, because there a lookup, hit or miss, can be a round trip to the developer's machine,
which costs more than the import itself. Imports next to nothing.

SPARED is the number of the lab host's CPUs, from 0 on, on which neither the agent nor anything
it starts may run (``spared_cpus`` in ``qemu.py``).
"""

from __future__ import annotations

import marshal
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ExtensionFileLoader, ModuleSpec
    from types import ModuleType
else:
    from _frozen_importlib import ModuleSpec
    from _frozen_importlib_external import ExtensionFileLoader

    ModuleType = type(sys)


class Bundle:
    """A finder and loader of the modules in one bundle file."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as stream:  # noqa: PTH123 (pathlib is slow to import)
            self._entries = marshal.loads(stream.read())

    def install(self) -> None:
        """Search this bundle before anything else."""
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

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """None for an ordinary module."""
        return _LazyModule(spec.name) if spec.name in _LAZY else None

    def exec_module(self, module: ModuleType) -> None:
        code = self._entries[module.__name__][2]
        if isinstance(module, _LazyModule):
            object.__setattr__(module, "__code", code)
        else:
            exec(marshal.loads(code), module.__dict__)


# Imported for cases that don't occur here: dataclasses uses inspect only for documentation, and
# its import is a fifth of a worker's.
_LAZY = ("inspect",)


class _LazyModule(ModuleType):
    """Runs the module's code at the first access to one of its attributes."""

    def __getattr__(self, name: str) -> object:
        code = self.__dict__.pop("__code", None)
        if code is None or name.startswith("__"):
            if code is not None:
                self.__dict__["__code"] = code
            raise AttributeError(name)
        exec(marshal.loads(code), self.__dict__)
        return getattr(self, name)


def main(bundle: str, idle_s: str, spared: str) -> int:
    posix.sched_setaffinity(0, posix.sched_getaffinity(0) - set(range(int(spared))))
    agent_bundle = Bundle(bundle)
    agent_bundle.install()

    def switch(vmm_bundle: str | None) -> None:
        agent_bundle.uninstall()
        if vmm_bundle is not None:
            Bundle(vmm_bundle).install()

    from kvm.host.inside.agent import serve_port

    return serve_port(float(idle_s), switch)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
