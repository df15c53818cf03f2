# SPDX-License-Identifier: GPL-2.0-only
"""A guest's program takes a device from its driver and violates the rules of its ring.

The device requests its reset or answers with an error, and serves again after it; other devices
do not notice. The same faults, for every device and transport, are in tests/cpp/virtio.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.project import Project
from support.asked import boot_options
from support.exercises import PATIENCE, beside

pytestmark = pytest.mark.lab

# Device numbers of virtio 1.2, chapter 5, in the form of sysfs.
RNG, BLOCK = "0x0004", "0x0002"
CONTENT = bytes(range(256)) * 16
CHECKS = {RNG: 38, BLOCK: 44}
DRIVERS = {"mmio": "platform/drivers/virtio-mmio", "pci": "pci/drivers/virtio-pci"}
SCRIPT = f"""
hostile() {{
    virtio=$(dirname $(grep -l $1 /sys/bus/virtio/devices/*/device))
    device=$(basename $(dirname $(readlink -f $virtio)))
    {PATIENCE} exercise hostile $device
}}
bind() {{ echo $device >/sys/bus/$DRIVER/bind; }}
hostile {RNG}; cmp /dev/vda /mnt/tests/disk && echo disk reads
bind; dd if=/dev/hwrng bs=64 count=4 2>/dev/null | wc -c
hostile {BLOCK}; dd if=/dev/hwrng bs=64 count=4 2>/dev/null | wc -c
bind; cmp /dev/vda /mnt/tests/disk && echo disk reads
"""


@pytest.mark.parametrize("transport", DRIVERS)
def test_devices_survive_a_driver_that_breaks_the_rules(
    project: Project, tmp_path: Path, transport: str
) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(CONTENT)
    options = boot_options(
        command=("sh", "-ec", f"DRIVER={DRIVERS[transport]}{SCRIPT}"),
        host="lab",
        transport=transport,
        disks=(f"{disk}",),
        shares=(f"{tmp_path},ro,tag=tests",),
        timeout_s=60.0,
        deadline_s=600.0,
    )
    run = beside(project, options.check())
    text = run.stdout.decode()
    assert run.verdict == ("PASS", "ok"), f"{run}\n{text}"
    assert "not ok" not in text, text
    assert text.count("\nok ") == sum(CHECKS.values()), text
    lines = [line for line in text.splitlines() if line in ("disk reads", "256")]
    assert lines == ["disk reads", "256", "256", "disk reads"], text
