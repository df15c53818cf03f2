# SPDX-License-Identifier: GPL-2.0-only
"""``./invoke kernel.*``: the kernel tree, its config and its build."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from kvm.cli import call
from kvm.run.options import BootOptions
from kvm.spec.fields import options

_HELP = {name: one.help for name, one in options(BootOptions).items()}


@task(help={"locked": _HELP["pinned_only"]})
def fetch(c: Context, locked: bool = False) -> None:
    """Bring the pinned kernel source into the cache and verify it."""
    from kvm.commands import kernel as commands

    with call.command() as (project, progress), progress.phase("kernel source") as say:
        print(commands.fetch_source(project, say, pinned_only=locked))


@task(help={"locked": _HELP["pinned_only"]})
def tree(c: Context, locked: bool = False) -> None:
    """Make linux/tree: the pinned source plus one commit for each of our patches."""
    from kvm.commands import kernel as commands

    with call.command() as (project, progress), progress.phase("kernel tree") as say:
        print(commands.tree_state(project, say, pinned_only=locked))


@task(help={"message": "subject of the commit that uncommitted edits become"})
def save(c: Context, message: str = "") -> None:
    """Turn the commits and edits in linux/tree into linux/patches."""
    from kvm.commands import kernel as commands

    with call.command() as (project, progress):
        print(commands.save(project, progress.note, message))


@task(
    help={"config": _HELP["config"], "configitem": _HELP["items"]},
    iterable=["configitem"],
)
def config(c: Context, config: str = "default", configitem: list[str] | None = None) -> None:
    """Resolve a config and check that every requested symbol survived; prints its path."""
    from kvm.commands import kernel as commands

    with call.command() as (project, progress), progress.phase("kernel config") as say:
        print(commands.resolve_config(project, say, config, tuple(configitem or ())))


@task(
    help={
        "config": _HELP["config"],
        "bzimage": "also build a bzImage",
        "full": "let make look at everything, even if it was built before or only KVM changed",
    }
)
def build(c: Context, config: str = "default", bzimage: bool = False, full: bool = False) -> None:
    """Build the kernel alone; prints its id and the folder of the image."""
    from kvm.commands import kernel as commands

    with call.command() as (project, progress), progress.phase("kernel") as say:
        print(commands.build_kernel(project, say, config, bzimage=bzimage, full=full))


COMMANDS = Collection("kernel", fetch, tree, save, config, build)
