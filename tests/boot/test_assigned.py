# SPDX-License-Identifier: GPL-2.0-only
"""PCI functions of the host assigned to a machine, in a lab host with an IOMMU and a spare one."""

from __future__ import annotations

import re

import pytest

from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import halves
from support.machines import Boot, Run

_RNG = "virtio-rng-pci,iommu_platform=on,disable-legacy=on"
_ADDRESS = "0000:00:10.0"
_KERNEL_BUILD_S = 1500
# Their lab host is kept, for one of them at a time.
pytestmark = [
    pytest.mark.lab,
    pytest.mark.xdist_group("assigned"),
    pytest.mark.timeout(_KERNEL_BUILD_S),
]

# The guest's own generator is virtio_rng.0, and comes first on the bus.
_READ = """
echo virtio_rng.1 > /sys/class/misc/hw_random/rng_current &&
head -c 256 /dev/hwrng | wc -c"""
# When the kernel finds it again, it places the BARs again.
_MOVE = """
function=/sys/bus/pci/devices/0000:00:03.0
bar() { dd if=$function/config bs=4 skip=8 count=1 2>/dev/null | od -An -tx4; }
before=$(bar)
echo 0000:00:03.0 > $function/driver/unbind
printf '\\0\\0\\0\\330' | dd of=$function/config bs=4 seek=8 conv=notrunc 2>/dev/null
echo 1 > $function/remove
echo 1 > /sys/bus/pci/rescan
[ "$(bar)" != "$before" ] || exit 9
"""


# QEMU's edu (docs/specs/edu.txt) interrupts when its register at 0x60 is written. It has no driver,
# so its message (PCI 3.0, 6.8.1) is one that the kernel counts separately, KVM's posted interrupts.
_MESSAGE = """
function=$(dirname $(grep -l 0x11e8 /sys/bus/pci/devices/*/device))
put() { printf "$2" | dd of=$function/config bs=2 seek=$(($1 / 2)) conv=notrunc 2>/dev/null; }
at() { echo $(($(head -n 1 $function/resource | cut -d ' ' -f 1) + $1)); }
ring() { devmem $(at 0x60) 32 1; devmem $(at 0x64) 32 1; sleep 1; count; }
count() { grep PIN: /proc/interrupts | awk '{ print $2 }'; }
put 0x04 '\\006\\000'
put 0x44 '\\000\\000\\340\\376'
put 0x4c '\\362\\000'
count
put 0x42 '\\001\\000'
ring
ring
put 0x42 '\\000\\000'
ring
"""


@pytest.fixture(scope="module", autouse=True)
def kernel(project: Project) -> None:
    """Build it before any boot's own deadline counts."""
    with Progress(live=False) as progress:
        halves.build(project, progress, config="vfio")


@pytest.fixture
def given(boot: Boot) -> Boot:
    """A boot with the lab host's spare generator assigned to the machine."""

    def run(*command: str, **options: object) -> Run:
        chosen = {"vfio_pci": (_ADDRESS,), "transport": "pci", **options}
        return boot(*command, **{"config": "vfio", "lab_devices": (_RNG,), **chosen})

    return run


@pytest.mark.parametrize("cpus", [1, 4])
def test_a_function_of_the_host_serves_the_guests_own_driver(given: Boot, cpus: int) -> None:
    """The device writes the guest's memory behind the IOMMU, and interrupts by MSI-X."""
    run = given("sh", "-c", f"{_READ} && grep virtio2-input /proc/interrupts", vcpus=cpus)
    assert run.verdict == ("PASS", "ok"), run
    count, interrupts = run.stdout.decode().splitlines()
    assert count == "256"
    assert sum(int(word) for word in re.findall(r"(?<= )\d+(?= )", interrupts)) > 0, interrupts


def test_a_device_without_a_table_of_messages_interrupts_by_msi(given: Boot) -> None:
    run = given("sh", "-ec", _MESSAGE, lab_devices=("edu",))
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout.decode().split() == ["0", "1", "2", "2"]


def test_its_registers_are_the_guests_memory_wherever_it_moves_them(given: Boot) -> None:
    run = given("sh", "-c", _MOVE + _READ)
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout == b"256\n"
    touched = [name for name in run.record.exits.devices if name.startswith("vfio-")]
    assert touched == [f"vfio-{_ADDRESS}-bar1"], "only the table of messages is emulated"


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("0000:00:1e.7", "this host has no such PCI function"),
        ("0000:00:00.0", "no driver has it; give it to vfio-pci: echo vfio-pci > "),
    ],
)
def test_what_can_t_be_given_is_refused_with_what_to_do(
    given: Boot, address: str, complaint: str
) -> None:
    run = given("true", vfio_pci=(address,))
    assert run.verdict == ("ERROR", "vmm-error"), run
    assert f"vfio-pci {address}: {complaint}" in str(run)


def test_it_needs_a_bus(given: Boot) -> None:
    run = given("true", transport="mmio")
    assert run.verdict == ("ERROR", "vmm-error"), run
    assert "use transport pci" in str(run)
