# SPDX-License-Identifier: GPL-2.0-only
"""``./invoke lab.*``: the lab hosts of this checkout."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from kvm.cli import call


@task
def status(c: Context) -> None:
    """Say which lab hosts are running."""
    from kvm.host import labs

    with call.command() as (project, _):
        print(*labs.statuses(project) or ("no lab host is running",), sep="\n")


@task
def stop(c: Context) -> None:
    """End the lab hosts of this checkout, whatever state they are in."""
    from kvm.host import labs

    with call.command() as (project, _):
        print(
            f"stopped {stopped}" if (stopped := labs.stop(project)) else "no lab host was running"
        )


COMMANDS = Collection("lab", status, stop)
