# SPDX-License-Identifier: GPL-2.0-only
"""Builds both halves of the checkout: the kernel and the VMM that boots it."""

from __future__ import annotations

from dataclasses import dataclass

from kvm.kernel import build as kernel_build
from kvm.kernel import identity, tree
from kvm.kernel.build import Kernel
from kvm.kernel.config import ConfigSpec
from kvm.lock import locked
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.vm import build as vmm_build
from kvm.vm.build import Vmm


@dataclass(frozen=True, slots=True)
class Halves:
    """The kernel and the VMM of one state of the checkout."""

    kernel: Kernel
    vmm: Vmm


def build(
    project: Project,
    progress: Progress,
    *,
    config: str = "default",
    items: tuple[str, ...] = (),
    bzimage: bool = False,
    pinned_only: bool = False,
) -> Halves:
    """Build both halves, or take them from the cache if their ids were built before.

    Only one command at a time builds in a checkout; a second one waits and says for which.
    """
    spec = ConfigSpec.named(config, project.linux / "configs", items)
    kernel_build.output_folder(project, spec.name)  # refused before anything is built
    with locked(project.build / "build.lock", "a build", say=progress.note, children=True):
        with progress.phase("kernel tree") as say:
            source_tree = tree.prepare(project, say, pinned_only=pinned_only)
            source = identity.source_id(source_tree)
        with progress.phase("UAPI headers") as say:
            uapi = kernel_build.uapi(project, source_tree, source, say)
        with progress.phase("VMM") as say:
            vmm = vmm_build.build(project, uapi, say)
        with progress.phase("kernel") as say:
            kernel = kernel_build.build(
                project, source_tree, spec, say, source=source, bzimage=bzimage
            )
    return Halves(kernel, vmm)
