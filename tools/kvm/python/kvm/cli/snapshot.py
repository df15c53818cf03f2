# SPDX-License-Identifier: GPL-2.0-only
"""``./invoke snapshot``: booted machines that others go on from."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from kvm.cli import call, derived
from kvm.commands.words import SnapshotWords
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run.options import BootOptions


def _make(project: Project, progress: Progress, options: BootOptions, words: SnapshotWords) -> int:
    """Save a booted machine by name, with its lab host: ./invoke snapshot NAME --cpus 2.

    What follows -- runs in it before: ./invoke snapshot NAME -- sh -c 'mount -t tmpfs t /mnt'
    Then ./invoke boot --from NAME -- COMMAND goes on from there, in a clone of its own.
    """
    from kvm.commands import snapshot

    return snapshot.make(project, progress, options, words)


@task(name="list", help={"json": "write it as JSON to this file, or - for stdout"})
def list_(c: Context, json: str = "") -> None:
    """List the snapshots: kernel, age, room in the cache, and the command that makes each."""
    from kvm.commands import snapshot

    with call.command() as (project, _):
        snapshot.show_all(project, json)


@task(positional=["name"], help={"name": "the snapshot's"})
def drop(c: Context, name: str) -> None:
    """Remove a snapshot."""
    from kvm.commands import snapshot

    with call.command() as (project, _):
        snapshot.drop(project, name)


COMMANDS = Collection("snapshot", list_, drop)
COMMANDS.add_task(derived.task(_make, BootOptions, SnapshotWords), default=True)
