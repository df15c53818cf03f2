# SPDX-License-Identifier: GPL-2.0-only
"""Our payloads as a suite with their own ``unittests.cfg``, in a lab host."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kvm.commands import payload_suite as command
from kvm.commands.payload_suite import SuiteOptions
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run.payload.options import PayloadOptions
from kvm.run.payload.suite.plan import Given, Selection
from kvm.verdict import ktap
from kvm.verdict.ktap import Status
from support import payloads

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

_CFG = """
# What a payload is run with, in both spellings.
[apic]
file = apic.flat
smp = 2
qemu_params = -cpu max,+nosuchfeature -m 64
groups = fast

[ipi]
file = ipi.flat
smp = $(($MAX_SMP < 2 ? $MAX_SMP : 2))
extra_params = -m 96M

[fails]
file = statuses.flat
qemu_params = -initrd fail.env
groups = own

[skips]
file = statuses.flat
qemu_params = -initrd skip.env
groups = own

[hangs]
file = statuses.flat
qemu_params = -initrd hang.env
timeout = 4
groups = own

[panics]
file = pvpanic.flat
groups = own panic

[foreign]
file = apic.flat
qemu_params = -device edu

[conditional]
file = apic.flat
check = /proc/sys/kernel/ostype=Other

[old]
file = apic.flat
arch = i386
"""
_ENVIRONMENTS = {"fail.env": "LEAVE=1\n", "skip.env": "LEAVE=38\n", "hang.env": "HANG=1\n"}

RunSuite = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def project() -> Project:
    return Project.find()


@pytest.fixture(scope="module")
def suite(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = payloads.build(project)
    folder = tmp_path_factory.mktemp("suite")
    for name in ("apic", "ipi", "statuses", "pvpanic"):
        shutil.copyfile(built / f"{name}.flat", folder / f"{name}.flat")
    for name, text in _ENVIRONMENTS.items():
        (folder / name).write_text(text)
    (folder / "unittests.cfg").write_text(_CFG)
    return folder


@pytest.fixture
def run(project: Project, suite: Path, tmp_path: Path) -> RunSuite:
    """``run(names="a b")`` returns the exit code and the JSON; the KTAP is in ``tmp_path``."""

    def go(names: str = "", groups: str = "", expected: str = "") -> tuple[int, dict[str, Any]]:
        result = tmp_path / "result.json"
        options = SuiteOptions(
            Given(PayloadOptions(suite, host="lab")),
            Selection.of(names, groups),
            expected=expected,
            outputs=(str(tmp_path / "out.ktap"), str(tmp_path / "out.xml")),
            json=str(result),
        )
        with Progress(live=False) as progress:
            code = command.main(project, progress, options)
        return code, json.loads(result.read_text())

    return go


def test_a_suite_has_a_result_for_each_test(
    run: RunSuite, project: Project, tmp_path: Path
) -> None:
    code, found = run()
    verdicts = {result["cell"]: result["verdict"] for result in found["results"]}
    assert verdicts == {
        "apic": "PASS",
        "ipi": "PASS",
        "fails": "FAIL",
        "skips": "SKIP",
        "hangs": "FAIL",
        "panics": "PASS",
        "foreign": "SKIP",
        "conditional": "SKIP",
    }
    assert code == found["exit_code"] == 1
    assert found["left_out"] == ["old"]
    read = ktap.parse((tmp_path / "out.ktap").read_text().splitlines())
    statuses = {case.name: case.status for case in read.cases}
    assert statuses["hangs"] is Status.TIMEOUT
    assert statuses["fails"] is Status.FAIL
    assert read.cases[0].children, "the checks of apic"
    assert (tmp_path / "out.xml").exists()


def test_each_test_leaves_a_folder_that_repeats_it(run: RunSuite, project: Project) -> None:
    code, found = run("ipi")
    assert code == 0, found
    (result,) = found["results"]
    folder = project.root / result["run_dir"]
    assert folder.name == "ipi"
    assert "PASS: " in (folder / "console.log").read_text()
    spec = json.loads((folder / "spec.json").read_text())
    assert (spec["vcpus"], spec["memory_mib"]) == (2, 96)
    assert (folder / "repeat").read_text().rstrip().endswith("-k ipi")
    assert json.loads((folder.parent / "result.json").read_text())["suite"] == found["suite"]


def test_what_is_expected_is_no_failure(run: RunSuite, tmp_path: Path) -> None:
    known = tmp_path / "known.toml"
    entries = (("fails", "fail"), ("hangs", "timeout"))
    known.write_text(
        "".join(
            f'[[expect]]\nname = "{name}"\nstatus = "{status}"\nreason = "it is to"\n'
            for name, status in entries
        )
    )
    code, found = run(groups="own", expected=str(known))
    assert code == 0, found
    assert found["expected_failures"] == 2


def test_ctrl_c_ends_it_with_what_was_found(project: Project, suite: Path, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    words = ("payload", "--suite", str(suite), "--host", "lab", "-k", "apic,hangs,skips")
    argv = (sys.executable, "-m", "invoke", *words, "--timeout", "120", "--json", str(result))
    before = set(project.runs.glob("[0-9]*/hangs/spec.json"))
    with subprocess.Popen(
        argv,
        cwd=project.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        deadline = time.monotonic() + 200
        while set(project.runs.glob("[0-9]*/hangs/spec.json")) <= before:
            assert time.monotonic() < deadline and child.poll() is None
            time.sleep(0.1)
        time.sleep(1)
        os.kill(child.pid, signal.SIGINT)
        output, _ = child.communicate(timeout=60)
    assert child.returncode == 125, output
    found = json.loads(result.read_text())
    assert found["interrupted"] is True
    assert [one["cell"] for one in found["results"]] == ["apic", "skips"]
    assert found["not_run"] == ["hangs"]
