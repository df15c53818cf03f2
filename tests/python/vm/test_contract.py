# SPDX-License-Identifier: GPL-2.0-only
"""A machine's fields and their defaults are the same in Python and in the compiled core."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kvm.spec import json_form
from kvm.spec.disk import DiskSpec
from kvm.spec.machine import MachineSpec
from kvm.spec.network import Forward, NetKind, NetSpec, VsockSpec
from kvm.spec.share import ShareSpec

# One record of each kind with only its required fields.
_PLAIN: dict[str, Any] = {
    "machine": MachineSpec(Path("vmlinux"), None, ""),
    "disk": DiskSpec(Path("disk")),
    "share": ShareSpec(Path("folder"), "tag"),
    "net": NetSpec(NetKind.USER),
    "vsock": VsockSpec(Path("socket")),
}
# Fields that only one side needs.
_PYTHON_ONLY = {"machine": {"log_buf"}, "net": {"script", "downscript"}}
_CORE_ONLY = {"net": {"tap_fd"}}


def _fields(plain: Any) -> dict[str, Any]:
    """The fields of a record, each with its default, or ``...`` if it has none."""
    defaults = {one.name: one.default for one in dataclasses.fields(plain)}
    return {
        name: ... if defaults[name] is dataclasses.MISSING else value
        for name, value in json_form.to_json(plain).items()
    }


def _without(fields: dict[str, Any], names: set[str]) -> dict[str, Any]:
    assert names <= fields.keys(), "an exception that is needed no more"
    return {name: value for name, value in fields.items() if name not in names}


def test_every_kind_of_record_is_compared(core: ModuleType) -> None:
    assert core.defaults().keys() == {*_PLAIN, "forward"}


@pytest.mark.parametrize("kind", _PLAIN)
def test_both_languages_have_the_same_fields_and_defaults(core: ModuleType, kind: str) -> None:
    ours = _without(_fields(_PLAIN[kind]), _PYTHON_ONLY.get(kind, set()))
    theirs = _without(core.defaults()[kind], _CORE_ONLY.get(kind, set()))
    assert ours == theirs


def test_a_forward_is_a_list_in_the_same_order(core: ModuleType) -> None:
    assert list(core.defaults()["forward"].items()) == [(name, ...) for name in Forward._fields]


def test_the_core_reads_every_field_of_a_spec(core: ModuleType, tmp_path: Path) -> None:
    from kvm.vm.machine import Machine, SetupError, SetupFailure

    spec = MachineSpec(
        kernel=tmp_path / "vmlinux",
        initrd=tmp_path / "initrd",
        cmdline="quiet",
        disks=(DiskSpec(tmp_path / "disk", backing_folder=tmp_path, format="qcow2"),),
        shares=(ShareSpec(tmp_path, "work"),),
        nets=(
            NetSpec(NetKind.USER, forwards=(Forward(True, "127.0.0.1", 53, 54),)),
            NetSpec(NetKind.TAP, tap="tap0", script="/bin/true"),
        ),
        vsock=VsockSpec(None, cid=7),
        log_buf=(0x1000, 0x2000),
        kvm_device=str(tmp_path / "no-kvm"),
        ttys=(0, 2),
        display=(640, 480),
        display_password="secret",
    )
    with pytest.raises(SetupError, match="no-kvm") as caught:
        Machine(spec)
    assert caught.value.kind is SetupFailure.KVM


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "unknown field 'colour' of a machine: remove it"),
        ({"kernel": None}, "field 'kernel' of a machine is None: use text"),
        ({"vcpus": "two"}, "field 'vcpus' of a machine is 'two': use a whole number from 0 to 4"),
        ({"vcpus": True}, "field 'vcpus' of a machine is True: use a whole number"),
        ({"vcpus": -1}, "field 'vcpus' of a machine is -1: use a whole number"),
        ({"rng": 1}, "field 'rng' of a machine is 1: use True or False"),
        ({"transport": "vme"}, "field 'transport' of a machine is 'vme': use mmio or pci"),
        ({"guest_events": "hyper"}, "is 'hyper': use auto, port or none"),
        ({"protocol": "efi"}, "is 'efi': use auto, linux, pvh, multiboot or flat"),
        ({"disks": "a.img"}, "field 'disks' of a machine is 'a.img': use a list"),
        ({"disks": ["a.img"]}, "field 'disks' of a machine is 'a.img': use a dict"),
        ({"disks": [{}]}, "field 'path' of a machine's disk is missing: add it"),
        ({"disks": [{"path": "a", "foo": 1}]}, "unknown field 'foo' of a machine's disk"),
        ({"disks": [{"path": "a", "format": "vmdk"}]}, "is 'vmdk': use raw or qcow2"),
        (
            {"nets": [{"kind": "bridge"}]},
            "field 'kind' of a machine's net is 'bridge': use user or",
        ),
        ({"nets": [{"kind": "user", "mtu": 65536}]}, "use a whole number from 0 to 65535"),
        (
            {"nets": [{"kind": "user", "forwards": [[False, "127.0.0.1", 1]]}]},
            "use a list of udp host_address host_port guest_port",
        ),
        ({"display": [640]}, "field 'display' of a machine is [640]: use a list of width height"),
        ({"vsock": {"cid": 3}}, "field 'path' of a machine's vsock is missing"),
        ({"vcpus": 0}, "vcpus is 0: use 1 to 255"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_record_that_is_wrong_is_refused_by_the_name_of_its_field(
    core: ModuleType, change: dict[str, Any], message: str
) -> None:
    record = {"kernel": "/vmlinux", "initrd": None, "cmdline": "", **change}
    with pytest.raises(core.ConfigError) as caught:
        core.Machine(record)
    assert message in str(caught.value)


def test_a_field_that_must_be_there_is_named(core: ModuleType) -> None:
    with pytest.raises(core.ConfigError, match="field 'cmdline' of a machine is missing"):
        core.Machine({"kernel": "/vmlinux", "initrd": None})
