# SPDX-License-Identifier: GPL-2.0-only
"""Guests find their virtio devices with either transport, and with either kind of ring."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.machines import Boot

pytestmark = pytest.mark.lab

PACKED = 34  # VIRTIO_F_RING_PACKED
RNG = "/sys/bus/pci/devices/0000:00:02.0"
# A kernel without ACPI gives a device that it finds late an address of its own choice.
MOVE_BAR = f"""
set -e
before=$(sed -n 1p {RNG}/resource)
echo 1 >{RNG}/remove
echo 1 >/sys/bus/pci/rescan
echo $before; sed -n 1p {RNG}/resource
dd if=/dev/hwrng bs=64 count=16 2>/dev/null | wc -c
"""


@pytest.mark.parametrize("ring", ["split", "packed"])
@pytest.mark.parametrize("transport", ["mmio", "pci"])
def test_each_transport_serves_with_each_ring(
    boot: Boot, tmp_path: Path, transport: str, ring: str
) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(b"\0" * (1 << 20))
    run = boot(
        "sh",
        "-c",
        f"cut -c{PACKED + 1} /sys/bus/virtio/devices/*/features; echo hello >/dev/vda; sync; "
        "ls -d /sys/bus/virtio/devices/* | wc -l; dd if=/dev/hwrng bs=64 count=4 | wc -c",
        disks=(f"{disk}",),
        transport=transport,
        ring=ring,
        vcpus=2,
    )
    assert run.verdict == ("PASS", "ok"), run
    bit = "1" if ring == "packed" else "0"
    assert run.stdout.decode().split() == [bit, bit, bit, "3", "256"]
    assert disk.read_bytes().startswith(b"hello\n")
    assert run.record.exits.devices.get("pci-config", 0) == 0 or transport == "pci"


def test_pci_devices_interrupt_by_messages(boot: Boot) -> None:
    run = boot("grep", "virtio", "/proc/interrupts", transport="pci")
    assert run.verdict == ("PASS", "ok"), run
    lines = run.stdout.decode().splitlines()
    assert lines
    assert all("MSIX" in line for line in lines), run.stdout


def test_a_guest_moves_a_bar_and_the_device_moves_with_it(boot: Boot) -> None:
    run = boot("sh", "-c", MOVE_BAR, transport="pci", ring="packed")
    assert run.verdict == ("PASS", "ok"), run
    before, after, served = run.stdout.decode().splitlines()
    assert before.split()[0] != after.split()[0]
    assert served == "1024"
