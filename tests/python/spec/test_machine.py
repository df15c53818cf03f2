# SPDX-License-Identifier: GPL-2.0-only
"""A machine spec is the same after its way as JSON, and errors in it are named."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kvm.errors import UserError
from kvm.spec.disk import DiskSpec
from kvm.spec.machine import MachineSpec, parse_cpus, say_cpus
from kvm.spec.network import Forward, NetKind, NetSpec, VsockSpec
from kvm.spec.share import ShareSpec


@pytest.fixture
def spec(tmp_path: Path) -> MachineSpec:
    for name in ("vmlinux", "initrd", "disk", *(f"disk{number}" for number in range(1, 8))):
        (tmp_path / name).write_bytes(b"x")
    return MachineSpec(
        kernel=tmp_path / "vmlinux",
        initrd=tmp_path / "initrd",
        cmdline="quiet",
        vcpus=2,
        disks=(
            DiskSpec(tmp_path / "disk1", read_only=True),
            DiskSpec(tmp_path / "disk2", volatile=True),
            DiskSpec(tmp_path / "disk3", format="qcow2", backing_folder=tmp_path),
            DiskSpec(tmp_path / "disk4", direct=True, format_said=True),
            DiskSpec(tmp_path / "disk5", format="qcow2", backing=(tmp_path, tmp_path / "disk")),
            DiskSpec(tmp_path / "disk6", format="qcow2", backing_files=(tmp_path / "disk",)),
            DiskSpec(tmp_path / "disk7", transient=True),
        ),
        transport="pci",
        ring="packed",
        nets=(
            NetSpec(NetKind.USER, "02:00:00:00:00:09", (Forward(True, "127.0.0.1", 53, 54),), 1500),
            NetSpec(NetKind.USER, closed=("198.51.100.0/24",)),
            NetSpec(NetKind.TAP, tap="tap0", queues=2, host_address="192.168.7.1/24", vhost=True),
        ),
        vsock=VsockSpec(tmp_path / "v.sock", cid=7),
        balloon_mib=64,
        shares=(ShareSpec(tmp_path, "work"), ShareSpec(tmp_path, "more", read_only=True)),
        log_buf=(0x1000, 0x2000),
    )


def test_json_there_and_back(spec: MachineSpec) -> None:
    assert MachineSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_a_vsock_by_vhost_is_kept_in_json(spec: MachineSpec) -> None:
    by_vhost = replace(spec, vsock=VsockSpec(None, cid=7))
    assert MachineSpec.from_json(json.loads(json.dumps(by_vhost.to_json()))) == by_vhost


def test_json_defaults() -> None:
    spec = MachineSpec.from_json({"kernel": "/k", "cmdline": ""})
    assert spec == MachineSpec(kernel=Path("/k"), initrd=None, cmdline="")


def test_json_names_only_what_is_not_the_default() -> None:
    """A VMM of an older commit does not know newer fields."""
    spec = MachineSpec(kernel=Path("/k"), initrd=None, cmdline="", vcpus=2)
    assert spec.to_json() == {"kernel": "/k", "initrd": None, "cmdline": "", "vcpus": 2}


def test_a_disk_is_durable_unless_its_json_says_otherwise() -> None:
    disk = {"path": "/d", "read_only": False}
    spec = MachineSpec.from_json({"kernel": "/k", "cmdline": "", "disks": [disk]})
    assert spec.disks == (DiskSpec(Path("/d"), read_only=False, volatile=False),)


@pytest.mark.parametrize(
    "record",
    [
        {"cmdline": ""},
        {"kernel": "/k", "cmdline": "", "vcpu": 1},
        {"kernel": "/k", "cmdline": "", "vcpus": "many"},
        {"kernel": "/k", "cmdline": "", "disks": [{"path": "/d"}]},
        {"kernel": "/k", "cmdline": "", "shares": [{"path": "/d", "tag": "d"}]},
        {"kernel": "/k", "cmdline": "", "log_buf": [1]},
        {"kernel": "/k", "cmdline": "", "nets": [{"kind": "bridge"}]},
        {"kernel": "/k", "cmdline": "", "nets": [{"kind": "user", "forwards": [[1]]}]},
        {"kernel": "/k", "cmdline": "", "vsock": {"cid": 3}},
    ],
)
def test_bad_json_is_a_user_error(record: dict[str, object]) -> None:
    with pytest.raises(UserError):
        MachineSpec.from_json(record)


def test_a_whole_spec_is_valid(spec: MachineSpec) -> None:
    spec.check()


@pytest.mark.parametrize("vcpus", [0, -1, 256])
def test_vcpus_out_of_range_are_refused(spec: MachineSpec, vcpus: int) -> None:
    with pytest.raises(UserError, match=str(vcpus)):
        replace(spec, vcpus=vcpus).check()


def test_too_little_memory_is_refused(spec: MachineSpec) -> None:
    with pytest.raises(UserError, match="31 MiB"):
        replace(spec, memory_mib=31).check()


def test_a_disk_has_one_mode(spec: MachineSpec) -> None:
    for wrong, named in (
        (replace(spec.disks[0], volatile=True), "ro and volatile"),
        (replace(spec.disks[0], transient=True), "ro and transient"),
        (replace(spec.disks[1], transient=True), "volatile and transient"),
    ):
        with pytest.raises(UserError, match=f"is both {named}"):
            replace(spec, disks=(wrong,)).check()


def test_missing_files_are_named(spec: MachineSpec, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(UserError, match=r"kernel .*gone does not exist"):
        replace(spec, kernel=gone).check()
    with pytest.raises(UserError, match=r"initrd .*gone does not exist"):
        replace(spec, initrd=gone).check()
    with pytest.raises(UserError, match=r"disk .*gone does not exist"):
        replace(spec, disks=(DiskSpec(gone, False),)).check()
    with pytest.raises(UserError, match="is a directory"):
        replace(spec, kernel=tmp_path).check()


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (ShareSpec(Path("/nowhere"), "work"), "/nowhere is not a folder"),
        (ShareSpec(Path("/"), ""), "has the tag ''"),
        (ShareSpec(Path("/"), "a,b"), "has the tag 'a,b'"),
        (ShareSpec(Path("/"), "../a"), "has the tag '../a'"),
        (ShareSpec(Path("/"), "x" * 32), "has the tag"),
    ],
)
def test_a_bad_share_is_named(spec: MachineSpec, share: ShareSpec, words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        replace(spec, shares=(share,)).check()


def test_two_shares_need_two_tags(spec: MachineSpec, tmp_path: Path) -> None:
    same = ShareSpec(tmp_path, "work")
    with pytest.raises(UserError, match="two shares have the same tag"):
        replace(spec, shares=(same, same)).check()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "vmdk"}, "'vmdk'"),
        ({"format": "qcow2", "direct": True}, "direct is for raw"),
        ({"backing": (Path("/"),)}, "backing is for qcow2"),
        ({"format": "qcow2", "backing": (Path("/none"),)}, "backing /none does not exist"),
    ],
)
def test_a_bad_disk_format_is_named(
    spec: MachineSpec, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    disk = replace(DiskSpec(tmp_path / "disk"), **changes)
    with pytest.raises(UserError, match=words):
        replace(spec, disks=(disk,)).check()


def test_what_could_wait_for_ever_is_no_file(spec: MachineSpec, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    chosen: tuple[dict[str, Any], ...] = (
        {"kernel": fifo},
        {"initrd": fifo},
        {"disks": (DiskSpec(fifo),)},
        {"disks": (DiskSpec(Path("/dev/null")),)},
    )
    for changes in chosen:
        with pytest.raises(UserError, match="is not a regular file"):
            replace(spec, **changes).check()


@pytest.mark.parametrize(
    ("text", "cpus"), [("0", (0,)), ("0-3,6", (0, 1, 2, 3, 6)), ("7,2", (7, 2))]
)
def test_cpus_to_pin_to_are_read_and_said(text: str, cpus: tuple[int, ...]) -> None:
    assert parse_cpus(text) == cpus
    assert parse_cpus(say_cpus(cpus)) == cpus


@pytest.mark.parametrize("text", ["", "x", "3-1", "0,0", "0-2,1", "1-", "-1", "0,"])
def test_what_names_no_cpus_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--pin"):
        parse_cpus(text)


def test_each_vcpu_needs_a_cpu_of_its_own(spec: MachineSpec) -> None:
    with pytest.raises(UserError, match="1 CPUs for 2 vCPUs"):
        replace(spec, pin=(3,)).check()
    replace(spec, pin=(3, 2, 1)).check()
