# SPDX-License-Identifier: GPL-2.0-only
"""The files of this machine with which a lab host's agent starts, for its initramfs.

Python itself with its libraries, the few modules that it and ``launch.py`` import before there is a
bundle, and the extension modules of the bundle. So nothing of 9p is mounted until a client comes,
and the lab host can be saved before that.
"""

from __future__ import annotations

import ctypes
import marshal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kvm import process
from kvm.guest.initramfs import ExtraFile
from kvm.guest.programs import with_libraries


@dataclass(frozen=True, slots=True)
class PreloadedVmm:
    """A VMM that a lab host keeps in its memory: its folder, and its modules in one file."""

    artifact: Path
    bundle: Path


_SLIRP = "libslirp.so.0"
# Prints the file of each module that is neither built in nor frozen, and the landmark by which
# Python finds its library.
_AT_START = """
from __future__ import annotations
import marshal, os, posix, sys
for module in list(sys.modules.values()):
    spec = getattr(module, "__spec__", None)
    if spec is not None and type(spec.loader).__name__ == "SourceFileLoader":
        print(module.__file__)
print(os.__file__)
"""


def agent_files(
    python: Path, script: Path, bundle: Path, vmm: PreloadedVmm | None
) -> tuple[ExtraFile, ...]:
    """What ``python -I -S script bundle`` needs, each at its own path, and what is not part of
    ``vmm`` but needed to import it: it stays the same when the VMM is edited.

    Raises ``UserError`` for a Python whose libraries can't be listed.
    """
    modules = process.capture((python, "-I", "-S", "-c", _AT_START), timeout_s=30).decode()
    plain = [script, bundle, *map(Path, modules.splitlines())]
    files = [ExtraFile(path, str(path)) for path in plain]
    files += with_libraries(python)
    files += _loaded(python, bundle)
    if vmm is not None:
        files += (file for file in _loaded(python, vmm.bundle) if not _is_of(vmm, file))
    return tuple({file.target: file for file in files}.values())


def vmm_files(python: Path, vmm: PreloadedVmm) -> tuple[ExtraFile, ...]:
    """What the agent needs besides to import ``vmm``. Raises ``UserError``."""
    own = (file for file in _loaded(python, vmm.bundle) if _is_of(vmm, file))
    return (ExtraFile(vmm.bundle, str(vmm.bundle)), *own)


def user_network_library() -> tuple[ExtraFile, ...]:
    """The library that a VMM loads for a user network, with those that it needs.

    None if this machine does not have it: the VMM will say so (``backend/slirp_library.cpp``).
    """
    try:
        ctypes.CDLL(_SLIRP)
    except OSError:
        return ()
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    place = next(line.split(maxsplit=5)[5] for line in maps.splitlines() if "/libslirp.so" in line)
    found, *needed = with_libraries(Path(place), of=Path(sys.executable).resolve())
    return (replace(found, target=str(Path(place).with_name(_SLIRP))), *needed)


def _is_of(vmm: PreloadedVmm, file: ExtraFile) -> bool:
    return file.source.is_relative_to(vmm.artifact)


def _loaded(python: Path, bundle: Path) -> Iterator[ExtraFile]:
    """The extension modules of a bundle, with their libraries."""
    for path in _extensions(bundle):
        yield from with_libraries(path, of=python)


def _extensions(bundle: Path) -> list[Path]:
    entries = marshal.loads(bundle.read_bytes()).values()
    return [Path(origin) for kind, origin, _ in entries if kind == "extension"]
