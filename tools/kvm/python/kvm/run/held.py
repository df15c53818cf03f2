# SPDX-License-Identifier: GPL-2.0-only
"""``--hold-host``: boots the guest on the lab host of the last good kernel.

A lab host has no disk, no display, no keyboard, no balloon and no PCI bus. The code for these does
nothing there, and has no part in KVM. If nothing else was edited since the last good kernel was
built, the KVM of its lab host is that of the kernel under test.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from kvm.kernel import identity, tree
from kvm.kernel.build import Kernel
from kvm.kernel.toolchain import Toolchain
from kvm.project import Project
from kvm.run import proven
from kvm.say import Say

_ONLY_IN_GUESTS = (
    "drivers/block/*",
    "drivers/input/*",
    "drivers/video/*",
    "drivers/virtio/virtio_balloon.c",
    "drivers/virtio/virtio_input.c",
    "drivers/virtio/virtio_pci_*",
    "fs/ext4/*",
    "fs/jbd2/*",
)


def host_kernel(project: Project, kernel: Kernel, note: Say) -> Kernel | None:
    """The last good kernel, if ``kernel`` differs from it only by what guests alone run.

    None if ``kernel`` must be the lab host's too; ``note`` tells either.
    """
    good = proven.load(project)
    if good is None:
        note("--hold-host: there is no good kernel yet; the lab host boots the one under test")
        return None
    if good.kernel.id == kernel.id:
        return None
    if why := _reaches(project, good.kernel, kernel):
        note(f"--hold-host: {why}; the lab host boots the kernel under test")
        return None
    note(f"--hold-host: the lab host, and so KVM, is that of {good.kernel.label}")
    return good.kernel


def _reaches(project: Project, good: Kernel, kernel: Kernel) -> str:
    """How the difference may reach the lab host; empty if it can't."""
    toolchain = Toolchain.from_environment().identity()
    config = (kernel.folder / "config").read_text()
    if identity.kernel_id(good.source, config, toolchain) != good.id:
        return f"{good.label}, the last good kernel, has another config or compiler"
    source = tree.locate(project)
    changed = identity.changed_files(source, good.source, kernel.source)
    if changed is None:
        return f"git no longer has the source of {good.label}, the last good kernel"
    reaching = [name for name in _names(changed, source.path) if not _only_in_guests(name)]
    if not reaching:
        return ""
    others = f" and {len(reaching) - 1} more" if len(reaching) > 1 else ""
    return f"{reaching[0]}{others} may reach it"


def _names(paths: tuple[Path, ...], tree_path: Path) -> list[str]:
    return [path.relative_to(tree_path).as_posix() for path in paths]


def _only_in_guests(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in _ONLY_IN_GUESTS)
