# SPDX-License-Identifier: GPL-2.0-only
"""The modules of a kernel, kept beside its image in the order in which they can be inserted.

KVM is made of modules where the config has it so: an edit of KVM then costs no link of the whole
kernel, and a lab host that was saved before they are inserted serves every such edit.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path

from kvm import process

FOLDER = "modules"
_ORDER = "order"  # kbuild's list is in the order of folders


def kept(kernel: Path) -> tuple[Path, ...]:
    """The modules in a kernel's folder, each after those that it needs."""
    folder = kernel / FOLDER
    try:
        names = (folder / _ORDER).read_text().split()
    except FileNotFoundError:
        return ()  # this kernel has none
    return tuple(folder / name for name in names)


def keep(built: Iterable[Path], kernel: Path) -> None:
    """Copy KVM's modules, and those that they need, to the kernel's folder.

    Others are for hardware that a lab host does not have.
    """
    folder = kernel / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    files = {path.stem.replace("-", "_"): path for path in built}
    needs = {name: _needs(path) & files.keys() for name, path in files.items()}
    wanted = {name for name in files if name.partition("_")[0] == "kvm"}
    while more := {other for name in wanted for other in needs[name]} - wanted:
        wanted |= more
    if not wanted:
        return
    folder.mkdir()
    sorter = TopologicalSorter({name: needs[name] for name in wanted})
    order = [files[name] for name in sorter.static_order()]
    for path in order:
        process.run(("objcopy", "--strip-debug", path, folder / path.name))
    (folder / _ORDER).write_text("".join(f"{path.name}\n" for path in order))


def listed(out: Path) -> tuple[str, ...]:
    """The modules that a whole build in ``out`` has made, as paths in it."""
    try:
        names = (out / "modules.order").read_text().split()
    except FileNotFoundError:
        return ()
    return tuple(str(Path(name).with_suffix(".ko")) for name in sorted(names))


def _needs(module: Path) -> set[str]:
    """The names of the modules whose symbols it uses (``depends`` of .modinfo)."""
    words = ("objcopy", "-O", "binary", "--only-section=.modinfo", module, "/dev/stdout")
    found: set[str] = set()
    for word in process.capture(words, timeout_s=60).decode(errors="replace").split("\0"):
        if word.startswith("depends="):
            found.update(word.removeprefix("depends=").split(","))
    return found - {""}
