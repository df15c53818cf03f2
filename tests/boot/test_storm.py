# SPDX-License-Identifier: GPL-2.0-only
"""Hundreds of pauses while a guest uses its disk, network, vsock and serial line."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from kvm.guest.build import build_exercise
from kvm.guest.initramfs import ExtraFile, build_initramfs
from kvm.host.base import HostLost
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import halves, hosts
from kvm.run.extras import RunExtras
from kvm.run.halves import Halves
from kvm.run.machine import machine_spec
from support import storm
from support.asked import boot_options

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

# The full test has 10,000; this many show the same in a test's time.
PAUSES = int(os.environ.get("TOOLSKVM_PAUSES", "100"))

# The compiled VMM's Python, and the current ``support.storm``: a lab host that has read a file once
# does not check whether it has changed.
_START = (
    "import json, sys; artifact, source, job = sys.argv[1:]; sys.path.insert(0, artifact); "
    "storm = {'__name__': 'storm'}; exec(compile(source, 'storm.py', 'exec'), storm); "
    "storm['main'](json.loads(job))"
)


def job(built: Halves, project: Project, *, unread: bool) -> dict[str, Any]:
    """The job for ``support.storm``."""
    program = build_exercise(project)
    options = boot_options(
        command=("true",),
        host="lab",
        vcpus=4,
        nets=("user,loopback",),
        transport="pci" if unread else "mmio",
        append="loglevel=1",  # kernel messages would mix with the serial line's output
    ).check()
    initrd = build_initramfs(project, files=(ExtraFile(program, "/bin/exercise"),))
    return {
        "spec": machine_spec(options, built.kernel, initrd, RunExtras()).to_json(),
        "exercise": str(program),
        "pauses": PAUSES,
        "unread": unread,
    }


def in_the_lab(project: Project, *, unread: bool) -> dict[str, Any]:
    """Run it there; repeat it if the lab host itself was lost."""
    with Progress(live=False) as progress:
        built = halves.build(project, progress)
    words = (
        *(os.path.realpath(sys.executable), "-I", "-S", "-c", _START, built.vmm.folder),
        *(Path(storm.__file__).read_text(), json.dumps(job(built, project, unread=unread))),
    )
    try:
        code, output = run_there(project, built, words)
    except HostLost as lost:
        warnings.warn(f"the lab host was lost, asking again: {lost}", stacklevel=2)
        code, output = run_there(project, built, words)
    assert code == 0, output[-4000:]
    found: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return found


def run_there(project: Project, built: Halves, words: tuple[str | Path, ...]) -> tuple[int, str]:
    """Run a command in the lab host to its end."""
    host = hosts.connect(project, hosts.Wanted("lab"), built, lambda said: None, patient=True).host
    try:
        return host.run_command(words, timeout_s=1500)
    finally:
        host.close()


@pytest.mark.parametrize("unread", [False, True], ids=["read", "unread"])
def test_a_storm_of_pauses_loses_and_tears_nothing(project: Project, *, unread: bool) -> None:
    found = in_the_lab(project, unread=unread)
    told = json.dumps(found, indent=1)
    assert (found["stop"], found["code"]) == ("reset", 0), told
    assert (found["read_meanwhile"] == 0) == unread, told
    said, servers = found["said"], found["servers"]
    assert "not ok" not in said + servers, told
    # Each load made progress, and ended because it was asked to.
    for load in ("disk", "net", "vsock", "serial"):
        part = said.split(f"== {load}")[1].split("== ")[0]
        assert part.split()[-1] == "0", (load, told)
        assert load == "serial" or part.count("\nok ") >= 1, (load, told)
    assert found["serial"] == list(range(storm.SERIAL_LINES)), told
    # A pause stops vCPUs, but not clocks.
    assert abs(found["guest_s"] - found["wall_s"]) < 5.0 + found["wall_s"] / 50, told
