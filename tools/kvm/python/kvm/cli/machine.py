# SPDX-License-Identifier: GPL-2.0-only
"""``./invoke machine.*``: operations on a running machine, by its name."""

from __future__ import annotations

import json as json_module
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from kvm.cli import call
from kvm.errors import UsageError

_NAME = {"name": "the machine's, as --name gave it or machine.list shows it"}
_JSON = {"json": "write it as JSON to this file, or - for stdout"}


@task(name="list", help=_JSON)
def list_(c: Context, json: str = "") -> None:
    """List the machines that run, whichever checkout or command started them."""
    from kvm.control import client, report

    with call.command():
        found = tuple(client.descriptions())
        _show(report.table(found), {"machines": found}, json)


@task(positional=["name"], help=_NAME)
def pause(c: Context, name: str) -> None:
    """Take the machine's vCPUs out of the guest until machine.resume; its deadlines wait too."""
    _ask(name, "pause")


@task(positional=["name"], help=_NAME)
def resume(c: Context, name: str) -> None:
    """Let a paused machine go on."""
    _ask(name, "resume")


@task(positional=["name"], help=_NAME)
def stop(c: Context, name: str) -> None:
    """End the machine at once, as Ctrl-C in its own terminal would."""
    _ask(name, "stop")


@task(positional=["name"], help=_NAME | {"cpu": "which vCPU gets it"})
def nmi(c: Context, name: str, cpu: int = 0) -> None:
    """Send a vCPU a non-maskable interrupt."""
    _ask(name, "nmi", vcpu=cpu)


_SYSRQ = {"key": "such as h for the list of them, w, t, l", "serial": "past init in any case"}


@task(positional=["name", "key"], help=_NAME | _SYSRQ)
def sysrq(c: Context, name: str, key: str, serial: bool = False) -> None:
    """Magic SysRq: through the guest's init, or without it as a break on ttyS0."""
    _ask(name, "sysrq", key=key, by="serial" if serial else "init")


@task(positional=["name", "mib"], help=_NAME | {"mib": "how much the guest is to give up"})
def balloon(c: Context, name: str, mib: str) -> None:
    """Set the size of the memory balloon of a machine that has one (--balloon)."""
    with call.command():
        if not mib.isdecimal():
            raise UsageError(f"a balloon of {mib!r}", "give it in MiB, such as 64")
    _ask(name, "balloon", mib=int(mib))


@task(positional=["name"], help=_NAME | _JSON)
def stat(c: Context, name: str, json: str = "") -> None:
    """Show exits, accesses to devices, and the balloon's statistics so far."""
    from kvm.control import client, report

    with call.command():
        found = client.ask(name, "stat")
        _show(report.statistics(found), found, json)


def _ask(name: str, what: str, **words: Any) -> None:
    from kvm.control import client

    with call.command():
        client.ask(name, what, **words)


def _show(text: str, record: dict[str, Any], json_target: str) -> None:
    from kvm.output import targets
    from kvm.output.words import clean

    if json_target:
        targets.put(json_target, json_module.dumps(record, indent=2) + "\n")
    else:
        print(clean(text))


COMMANDS = Collection("machine", list_, pause, resume, stop, nmi, sysrq, balloon, stat)
