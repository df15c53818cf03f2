# SPDX-License-Identifier: GPL-2.0-only
"""kvm.host.qemu: the lab host's command is computed, complete, and refuses what can't work."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.host.qemu import (
    Accelerator,
    LabMachine,
    SavedState,
    config_hz,
    has_user_network,
    kernel_cmdline,
    qemu_argv,
)

_MACHINE = LabMachine(
    kernel=Path("/cache/vmlinux"), initrd=Path("/cache/lab.cpio"), share=Path("/checkout/build")
)
_SOCKET = Path("/run/lab.sock")
_CONSOLE = Path("/checkout/build/lab/k/console.log")


def _argv(machine: LabMachine) -> tuple[str, ...]:
    return qemu_argv(machine, socket=_SOCKET, console=_CONSOLE)


def _option(argv: tuple[str, ...], name: str) -> list[str]:
    return [value for key, value in pairwise(argv) if key == name]


def test_tcg_offers_svm_to_the_lab_host() -> None:
    argv = _argv(_MACHINE)
    assert _option(argv, "-accel") == ["tcg,thread=multi"]
    assert _option(argv, "-cpu") == ["max,+svm"]
    assert _option(argv, "-M") == ["microvm,acpi=off,memory-backend=ram"]


@pytest.mark.parametrize(
    ("to_save", "memory"),
    [
        (None, "memory-backend-memfd,share=on"),
        (True, "memory-backend-memfd,share=on"),
        (False, "memory-backend-file,share=off,mem-path=/cache/ram"),
    ],
)
def test_memory_is_shared_if_it_is_to_be_saved_else_a_private_view_of_what_was(
    to_save: bool | None, memory: str
) -> None:
    files = (Path("/cache/ram"), Path("/cache/devices"), Path("/cache/console"))
    saved = None if to_save is None else SavedState(*files, to_save=to_save)
    argv = qemu_argv(_MACHINE, socket=_SOCKET, console=_CONSOLE, saved=saved)
    assert _option(argv, "-object") == [f"{memory},id=ram,size=2048M"]
    assert _option(argv, "-incoming") == ([] if saved is None else ["defer"])


@pytest.mark.parametrize(
    "machine",
    [replace(_MACHINE, accelerator=Accelerator.KVM), replace(_MACHINE, devices=("edu",))],
)
def test_what_has_state_that_qemu_does_not_know_is_not_saved(machine: LabMachine) -> None:
    assert _MACHINE.savable
    assert not machine.savable
    assert "saver" not in " ".join(_argv(machine))


def test_what_differs_from_command_to_command_is_no_part_of_a_saved_one() -> None:
    exports = (Path("/data/.tools-kvm-1"),)
    one = replace(_MACHINE, exports=exports, kernel=Path("/other"), share=Path("/another"))
    two = replace(_MACHINE, exports=(Path("/data/.tools-kvm-2"),))
    assert _argv(one.unfurnished()) == _argv(two.unfurnished())
    assert _argv(one.unfurnished()) != _argv(_MACHINE.unfurnished())


def test_kvm_gives_the_lab_host_the_machines_own_processor() -> None:
    machine = replace(_MACHINE, accelerator=Accelerator.KVM, tsc_khz=2_600_000)
    assert _option(_argv(machine), "-accel") == ["kvm"]
    assert _option(_argv(machine), "-cpu") == ["host"]
    assert "tsc" not in kernel_cmdline(machine)


def test_the_root_is_exported_read_only_and_only_the_share_can_be_written() -> None:
    exports = _option(_argv(_MACHINE), "-fsdev")
    assert len(exports) == 3
    root, share, files = exports
    assert "path=/,security_model=none,readonly=on" in root
    assert "path=/,security_model=none,readonly=on" in files
    assert "path=/checkout/build," in share
    assert "readonly" not in share


def test_folders_for_disks_are_exported_too_each_with_its_mount_point() -> None:
    machine = replace(_MACHINE, exports=(Path("/data/.tools-kvm-1"), Path("/a,b/.tools-kvm-2")))
    disks = _option(_argv(machine), "-fsdev")[3:]
    assert [word.split(",security")[0] for word in disks] == [
        "local,id=disks0,path=/data/.tools-kvm-1",
        "local,id=disks1,path=/a,,b/.tools-kvm-2",
    ]
    assert machine.mounts == [f"{tag}:/proc/fs/{tag}" for tag in ("files", "disks0", "disks1")]


def test_an_uplink_is_nobodys_network_whose_ports_the_keeper_lends() -> None:
    argv = _argv(replace(_MACHINE, uplink=True))
    (uplink,) = _option(argv, "-netdev")
    assert uplink.startswith("user,id=uplink,net=198.51.100.0/24,")
    assert "virtio-net-device,netdev=uplink" in _option(argv, "-device")
    assert "socket,id=monitor,path=monitor.sock,server=on,wait=off" in _option(argv, "-chardev")
    words = kernel_cmdline(replace(_MACHINE, uplink=True)).split()
    assert "toolskvm.net=198.51.100.15/24:198.51.100.2:198.51.100.3" in words
    assert not _option(_argv(_MACHINE), "-netdev")
    assert "toolskvm.net" not in kernel_cmdline(_MACHINE)
    card = _option(_argv(replace(_MACHINE, uplink=True, devices=("edu",))), "-device")
    assert "virtio-net-pci,netdev=uplink,romfile=" in card


@pytest.mark.parametrize(
    ("script", "there"),
    [("echo socket; echo user", True), ("echo socket; echo vhost-user", False), ("exit 1", False)],
)
def test_a_qemu_without_a_user_network_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, there: bool
) -> None:
    qemu = tmp_path / "qemu-system-x86_64"
    qemu.write_text(f"#!/bin/sh\n{script}\n")
    qemu.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert has_user_network() is there


def test_every_file_of_ours_has_a_place_in_the_lab_host_where_it_is_fresh() -> None:
    machine = replace(_MACHINE, exports=(Path("/data/.tools-kvm-1"),))
    places = {
        "/checkout/build/runs/1/disk": "/checkout/build/runs/1/disk",
        "/data/.tools-kvm-1/disk": "/proc/fs/disks0/disk",
        "/data/disk": "/proc/fs/files/data/disk",
        "/": "/proc/fs/files",
    }
    assert {path: str(machine.seen(Path(path))) for path in places} == places


def test_a_comma_in_a_path_is_doubled_for_qemu() -> None:
    share = _option(_argv(replace(_MACHINE, share=Path("/a,b/build"))), "-fsdev")[1]
    assert "path=/a,,b/build," in share


def test_sizes_reach_qemu() -> None:
    argv = _argv(replace(_MACHINE, cpus=3, memory_mib=4096))
    assert (_option(argv, "-smp"), _option(argv, "-m")) == (["4"], ["4096M"])


@pytest.mark.parametrize(
    ("accelerator", "cpus", "all_of_them"),
    [(Accelerator.TCG, 2, "3"), (Accelerator.TCG, 1, "1"), (Accelerator.KVM, 2, "2")],
)
def test_one_of_several_emulated_cpus_runs_no_machine(
    accelerator: Accelerator, cpus: int, all_of_them: str
) -> None:
    machine = replace(_MACHINE, accelerator=accelerator, cpus=cpus)
    assert _option(_argv(machine), "-smp") == [all_of_them]


def test_the_command_line_names_the_role_and_keeps_warnings() -> None:
    words = kernel_cmdline(_MACHINE).split()
    assert "toolskvm.role=labhost" in words
    assert {"console=ttyS0", "loglevel=5", "oops=panic", "panic=-1", "reboot=t"} <= set(words)


def test_known_clocks_spare_the_kernel_its_calibrations() -> None:
    words = kernel_cmdline(replace(_MACHINE, tsc_khz=2_500_000, hz=250)).split()
    assert {"tsc=reliable", "tsc_early_khz=2500000", "lpj=10000000"} <= set(words)
    without_hz = kernel_cmdline(replace(_MACHINE, tsc_khz=2_500_000))
    assert "tsc_early_khz=2500000" in without_hz
    assert "lpj=" not in without_hz


def test_a_socket_path_that_is_too_long_is_refused() -> None:
    with pytest.raises(UserError, match="too long for a socket"):
        qemu_argv(_MACHINE, socket=Path("/" + "x" * 107), console=_CONSOLE)
    qemu_argv(_MACHINE, socket=Path("/" + "x" * 106), console=_CONSOLE)


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (replace(_MACHINE, cpus=0), "0 CPUs"),
        (replace(_MACHINE, memory_mib=64), "64 MiB"),
        (replace(_MACHINE, devices=("edu",) * 16), "16 devices"),
    ],
)
def test_a_machine_that_cannot_work_is_refused(machine: LabMachine, words: str) -> None:
    with pytest.raises(UserError, match=words):
        machine.validate()


def test_devices_to_give_away_stand_behind_an_iommu_at_addresses_that_are_told() -> None:
    machine = replace(_MACHINE, devices=("edu", "nvme,serial=1"))
    machine.validate()
    argv = _argv(machine)
    assert _option(argv, "-M") == ["q35"]
    devices = _option(argv, "-device")
    assert devices[:3] == ["intel-iommu,intremap=on", "edu,addr=0x10", "nvme,serial=1,addr=0x11"]
    assert {"virtio-serial-pci"} <= set(devices)
    assert machine.assigned == ("0000:00:10.0", "0000:00:11.0")
    words = kernel_cmdline(machine).split()
    assert {"intel_iommu=on", "toolskvm.assign=0000:00:10.0,0000:00:11.0"} <= set(words)


@pytest.mark.parametrize("name", ["config", ".config"])
def test_hz_is_read_from_the_configuration_beside_the_kernel(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("CONFIG_HZ_250=y\nCONFIG_HZ=250\n")
    assert config_hz(tmp_path / "vmlinux") == 250


def test_hz_is_unknown_without_a_configuration(tmp_path: Path) -> None:
    assert config_hz(tmp_path / "vmlinux") is None
