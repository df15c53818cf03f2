# SPDX-License-Identifier: GPL-2.0-only
"""The ``kernel.*`` commands: a single stage each. They return the text to print."""

from __future__ import annotations

from contextlib import AbstractContextManager

from kvm.kernel import build, config, fetch, identity, pin, tree
from kvm.kernel.toolchain import Toolchain
from kvm.lock import locked
from kvm.project import Project
from kvm.say import Say


def fetch_source(project: Project, say: Say, *, pinned_only: bool = False) -> str:
    """Fetch and verify the pinned source; return its place."""
    wanted = pin.load(project.linux / "pin.toml")
    fetched = fetch.fetch(wanted, project.cache, say=say, pinned_only=pinned_only)
    place = fetched.tarball or f"{fetched.repository} {fetched.commit[:12]}"
    return f"{fetched.version} from {fetched.source.describe()}: {place}"


def tree_state(project: Project, say: Say, *, pinned_only: bool = False) -> str:
    """Make the tree ready; return what it is and its unsaved changes."""
    with _exclusive(project, "kernel.tree", say):
        ready = tree.prepare(project, say, pinned_only=pinned_only)
    text = f"{ready.mode.value} tree {ready.path}"
    if ready.mode is tree.Mode.PINNED:
        tree.install_hook(project)
        unsaved = tree.unsaved(ready)
        text += f", unsaved {unsaved} (./invoke kernel.save)" if unsaved else ", nothing unsaved"
    return text


def save(project: Project, say: Say, message: str = "") -> str:
    """Save the tree's changes as patches; return the series."""
    with _exclusive(project, "kernel.save", say):
        names = tree.save(project, say, message=message)
    return "\n".join(f"linux/patches/{name}" for name in names) or "no patches"


def resolve_config(project: Project, say: Say, name: str, items: tuple[str, ...]) -> str:
    """Resolve and check a config; return the path of the ``.config``."""
    spec = config.ConfigSpec.named(name, project.linux / "configs", items)
    out = build.output_folder(project, spec.name)
    with _exclusive(project, "kernel.config", say):
        ready = tree.prepare(project, say)
        out.mkdir(parents=True, exist_ok=True)
        toolchain = Toolchain.from_environment()
        config.resolve(ready, spec, identity.source_id(ready), toolchain, out, say)
    return str(out / ".config")


def build_kernel(
    project: Project, say: Say, name: str, *, bzimage: bool = False, full: bool = False
) -> str:
    """Build one config; return the kernel's label, id and folder."""
    spec = config.ConfigSpec.named(name, project.linux / "configs")
    build.output_folder(project, spec.name)  # refused before anything else is done
    with _exclusive(project, "kernel.build", say):
        ready = tree.prepare(project, say)
        kernel = build.build(project, ready, spec, say, bzimage=bzimage, full=full)
    return f"{kernel.label} id={kernel.id} {kernel.folder}"


def _exclusive(project: Project, purpose: str, say: Say) -> AbstractContextManager[None]:
    return locked(project.build / "build.lock", purpose, say=say, children=True)
