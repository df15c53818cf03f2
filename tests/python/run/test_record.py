# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kvm.kernel.build import Kernel
from kvm.run.record import (
    ExitCounts,
    GuestFacts,
    KernelFacts,
    RunRecord,
    Timings,
)
from kvm.verdict.vocabulary import Evidence, Outcome, Reason, Verdict

RECORD = RunRecord(
    outcome=Outcome(Verdict.FAIL, Reason.HANG, "silent", (Evidence("console", ("é",)),), "sig"),
    host="lab",
    exit_code=1,
    kernel=KernelFacts("6.12.117", "k1", "build/vmlinux"),
    vmm_id="v1",
    guest=GuestFacts(cpus=2, memory_mib=256, transport="virtio", exit_code=7, signal=0),
    timings=Timings(kernel_build=4.5, vmm_start=0.25, guest_init=0.5, total=7.0),
    exits=ExitCounts.from_result({"reasons": {"io": 3, "mmio": 4}, "ports": {"0x3f8": 3}}),
    run_dir=Path("build/runs/1"),
    command=("sh", "-c", "exit 7"),
    repeat="./invoke boot -- sh -c 'exit 7'",
)

_NUMBER = (int, float, type(None))
SCHEMA: dict[str, Any] = {
    "schema": int,
    "verdict": str,
    "reason": str,
    "summary": str,
    "signature": str,
    "evidence": list,
    "host": str,
    "kernel": {"release": str, "id": str, "path": str},
    "host_kernel": (dict, type(None)),
    "vmm": {"id": str},
    "timings_s": dict.fromkeys(
        (
            "kernel_build",
            "vmm_build",
            "host_boot",
            "vmm_start",
            "load",
            "guest_init",
            "command",
            "kept",
            "total",
        ),
        _NUMBER,
    ),
    "exits": {"total": int, "reasons": dict, "ports": dict, "devices": dict},
    "event_source": str,
    "events": list,
    "events_lost": {"guest": int, "refused": int},
    "guest": {
        "cpus": int,
        "memory_mib": int,
        "transport": str,
        "hello_uptime_s": float,
        "exit_code": (int, type(None)),
        "signal": (int, type(None)),
        "stdout": (str,),
        "stderr": (str,),
    },
    "run_dir": (str, type(None)),
    "exit_code": int,
    "command": list,
    "repeat": str,
    "cloned": bool,
}


def _kernel(name: str) -> Kernel:
    return Kernel(name, name, "6.12.117", name, "default", Path("/cache") / name, 0.0, built=False)


def test_only_a_lab_hosts_kernel_that_is_not_the_guests_is_named() -> None:
    edited, good = _kernel("edited"), _kernel("good")
    named = KernelFacts.of_host("lab", good, edited)
    assert named is not None and named.id == good.id
    assert KernelFacts.of_host("lab", good, good) is None
    assert KernelFacts.of_host("native", good, edited) is None


def _check(value: Any, schema: Any, where: str = "record") -> None:
    if isinstance(schema, dict):
        assert set(value) == set(schema), where
        for key, part in schema.items():
            _check(value[key], part, f"{where}.{key}")
    else:
        assert isinstance(value, schema), where


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        RunRecord(outcome=Outcome(Verdict.PASS, Reason.OK, "fine"), host="native", exit_code=0),
    ],
)
def test_record_follows_its_schema(record: RunRecord) -> None:
    _check(json.loads(json.dumps(record.to_json())), SCHEMA)


def test_values_arrive(tmp_path: Path) -> None:
    RECORD.keep(tmp_path)
    read = json.loads((tmp_path / "result.json").read_text())
    assert read["schema"] == 1
    assert (read["verdict"], read["reason"]) == ("FAIL", "hang")
    assert read["evidence"] == [{"kind": "console", "lines": ["é"]}]
    assert read["exits"]["total"] == 7
    assert read["timings_s"]["vmm_start"] == 0.25
    assert read["timings_s"]["host_boot"] is None
    assert read["command"] == ["sh", "-c", "exit 7"]


def test_rewriting_leaves_one_file(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("old")
    RECORD.keep(tmp_path)
    RECORD.keep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]
    assert json.loads((tmp_path / "result.json").read_text())["host"] == "lab"


def test_a_folder_that_cannot_be_written_takes_no_verdict_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    RECORD.keep(tmp_path / "gone")
    told = capsys.readouterr().err
    assert told == f"{tmp_path}/gone/result.json could not be written: No such file or directory\n"


def test_lone_surrogates_do_not_stop_the_record(tmp_path: Path) -> None:
    odd = RunRecord(
        outcome=Outcome(Verdict.PASS, Reason.OK, "x"),
        host="lab",
        exit_code=0,
        command=("\udcff",),
    )
    odd.keep(tmp_path)
    assert json.loads((tmp_path / "result.json").read_text())["command"] == ["?"]
