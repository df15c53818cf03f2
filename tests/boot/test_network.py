# SPDX-License-Identifier: GPL-2.0-only
"""Guests reach their host's network and sockets, and can be reached from there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.project import Project
from kvm.run.options import BootOptions
from support.asked import boot_options
from support.exercises import PATIENCE, beside
from support.machines import Boot, Run

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1300)]

# The full test is 1 GiB each way; this much shows the same in a test's time.
BYTES = os.environ.get("TOOLSKVM_STREAM_BYTES", str(16 << 20))


def options(
    script: str,
    *,
    nets: tuple[str, ...] = (),
    vsock: str = "",
    transport: str = "mmio",
    cpus: int = 1,
) -> BootOptions:
    return boot_options(
        command=("sh", "-ec", script),
        host="lab",
        nets=nets,
        vsock=vsock,
        transport=transport,
        vcpus=cpus,
        timeout_s=60.0,
        deadline_s=600.0,
    ).check()


def all_right(run: Run) -> bool:
    text = run.stdout.decode()
    return run.verdict == ("PASS", "ok") and text.count("\nok ") == 2 and "not ok" not in text


# PCI's interrupts take no access, so the remaining ones do not grow with the bytes.
SET_UP_ACCESSES = 500


def accesses(run: Run, device: str) -> int:
    counts = run.record.exits.devices.items()
    return sum(count for name, count in counts if name.startswith(device))


def test_a_user_network_is_up_with_its_address_and_a_gateway(boot: Boot) -> None:
    run = boot("sh", "-c", "ifconfig eth0; ip route; ping -c 2 -W 5 10.0.2.2", nets=("user",))
    assert run.verdict == ("PASS", "ok"), run
    text = run.stdout.decode()
    assert "02:54:4B:56:4D:00" in text
    assert "10.0.2.15" in text
    assert "default via 10.0.2.2" in text
    assert "0% packet loss" in text


def test_a_tap_of_the_host_is_reached_and_gone_afterwards(boot: Boot) -> None:
    tap = "tap=boottap,host=10.9.1.1/24,guest=10.9.1.2/24"
    run = boot("sh", "-c", "ping -c 3 -W 5 10.9.1.1; ifconfig eth0", nets=(tap,))
    assert run.verdict == ("PASS", "ok"), run
    assert "0% packet loss" in run.stdout.decode()
    again = boot("true", nets=(tap,))
    assert again.verdict == ("PASS", "ok"), again


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def seen(project: Project) -> Iterator[Path]:
    """A file that a lab host can also write."""
    with tempfile.TemporaryDirectory(prefix="seen-", dir=project.build) as folder:
        yield Path(folder) / "seen"


def test_a_taps_scripts_are_run_with_its_name(boot: Boot, tmp_path: Path, seen: Path) -> None:
    words = ["tap=scripted"]
    for word in ("script", "downscript"):
        told = f"echo {word} $1 $(ls /sys/class/net/$1/mtu) >>{seen}"
        words.append(f"{word}={program(tmp_path / word, told)}")
    share, tap = f"{seen.parent},ro,tag=tests", ",".join(words)
    run = boot("cat", "/mnt/tests/seen", nets=(tap,), shares=(share,))
    assert run.verdict == ("PASS", "ok"), run
    mtu = "/sys/class/net/scripted/mtu"
    up, down = f"script scripted {mtu}\n", f"downscript scripted {mtu}\n"
    assert run.stdout.decode() == up
    assert seen.read_text() == up + down


def test_slow_scripts_are_no_hang_of_the_guest(boot: Boot, tmp_path: Path) -> None:
    slow = program(tmp_path / "slow", "sleep 8")
    run = boot("true", nets=(f"tap=slow,script={slow},downscript={slow}",), timeout_s=6.0)
    assert run.verdict == ("PASS", "ok"), run


def test_a_taps_script_that_fails_is_told_with_its_words(boot: Boot, tmp_path: Path) -> None:
    failing = program(tmp_path / "script", "echo no bridge for $1\nexit 3")
    run = boot("true", nets=(f"tap=scripted,script={failing}",))
    assert run.verdict == ("ERROR", "vmm-error"), run
    assert "no bridge for scripted" in str(run)


def test_taps_that_were_set_up_are_taken_down_whatever_fails(
    boot: Boot, tmp_path: Path, seen: Path
) -> None:
    down = program(tmp_path / "down", f"echo $1 >>{seen}")
    # Slow, because nothing may end the machine's process before the last of them is done.
    fail = program(tmp_path / "fail", f"sleep 1; echo $1 fails >>{seen}; exit 3")
    # First the second tap's set-up fails; then, in another run, its taking down.
    boot("true", nets=(f"tap=one,downscript={down}", f"tap=two,script={fail},downscript={down}"))
    boot("true", nets=(f"tap=one,downscript={fail}", f"tap=two,downscript={fail}"))
    assert seen.read_text() == "two fails\none\ntwo fails\none fails\n"


def test_tcp_to_the_host_loses_no_byte(project: Project) -> None:
    script = f"{PATIENCE} exercise stream tcp:10.0.2.2:5301 7 {BYTES}"
    chosen = options(script, nets=("user,loopback",))
    run = beside(project, chosen, ("stream-serve", "tcp:127.0.0.1:5301"))
    assert all_right(run), f"{run}\n{run.stdout.decode()}"


def test_a_flood_of_flows_leaves_the_vmm_its_record_and_others_their_flows(
    project: Project,
) -> None:
    flood = f"{PATIENCE} exercise flows 10.0.2.2 9 4000"
    script = f"{flood}; {PATIENCE} exercise stream tcp:10.0.2.2:5310 15 65536"
    chosen = options(script, nets=("user,loopback",))
    run = beside(project, chosen, ("stream-serve", "tcp:127.0.0.1:5310"))
    text = run.stdout.decode()
    assert run.verdict == ("PASS", "ok"), f"{run}\n{text}"
    assert text.count("\nok ") == 3 and "not ok" not in text
    assert run.record.exits.total > 0


def test_tcp_by_a_forwarded_port_loses_no_byte(project: Project) -> None:
    script = f"{PATIENCE} exercise stream-serve tcp:0.0.0.0:5302"
    chosen = options(script, nets=("user,hostfwd=tcp:5303:5302",))
    run = beside(project, chosen, ("stream", "tcp:127.0.0.1:5303", "8", BYTES))
    assert all_right(run), f"{run}\n{run.stdout.decode()}"


def test_vsock_to_the_host_and_back_loses_no_byte(project: Project) -> None:
    path = "/tmp/boot-test-vsock"
    script = f"{PATIENCE} exercise stream vsock:2:5304 9 {BYTES}"
    run = beside(
        project,
        options(script, vsock=path),
        ("stream-serve", f"unix:{path}_5304"),
    )
    assert all_right(run), f"{run}\n{run.stdout.decode()}"
    script = f"{PATIENCE} exercise stream-serve vsock:0:5305"
    run = beside(
        project,
        options(script, vsock=path),
        ("stream", f"connect:{path}:5305", "10", BYTES),
    )
    assert all_right(run), f"{run}\n{run.stdout.decode()}"


@pytest.mark.parametrize(("transport", "pairs"), [("mmio", 1), ("pci", 2)])
def test_tcp_through_vhost_loses_no_byte_either_way(
    project: Project, transport: str, pairs: int
) -> None:
    tap = f"tap=vhosttap{pairs},host=10.9.2.1/24,guest=10.9.2.2/24,queues={pairs},vhost"
    for script, there in (
        (f"stream tcp:10.9.2.1:5308 13 {BYTES}", ("stream-serve", "tcp:0.0.0.0:5308")),
        ("stream-serve tcp:0.0.0.0:5309", ("stream", "tcp:10.9.2.2:5309", "14", BYTES)),
    ):
        command = f"{PATIENCE} exercise {script}"
        chosen = options(command, nets=(tap,), transport=transport, cpus=pairs)
        run = beside(project, chosen, there)
        assert all_right(run), f"{run}\n{run.stdout.decode()}"
        assert transport == "mmio" or accesses(run, "virtio-net0") < SET_UP_ACCESSES


@pytest.mark.parametrize("transport", ["mmio", "pci"])
def test_vsock_by_vhost_loses_no_byte_either_way(project: Project, transport: str) -> None:
    for script, there in (
        (f"stream vsock:2:5306 11 {BYTES}", ("stream-serve", "vsock:0:5306")),
        ("stream-serve vsock:0:5307", ("stream", "vsock:42:5307", "12", BYTES)),
    ):
        chosen = options(f"{PATIENCE} exercise {script}", vsock="vhost,cid=42", transport=transport)
        run = beside(project, chosen, there)
        assert all_right(run), f"{run}\n{run.stdout.decode()}"
        assert transport == "mmio" or accesses(run, "virtio-vsock") < SET_UP_ACCESSES


def test_vhost_has_no_packed_ring_and_says_so(boot: Boot) -> None:
    for chosen in ({"vsock": "vhost"}, {"nets": ("tap=vhosttap,vhost",)}):
        run = boot("true", ring="packed", **chosen)
        assert "vhost knows split rings alone; use split" in str(run)


def test_networks_that_can_t_be_had_say_so(boot: Boot, tmp_path: Path) -> None:
    run = boot("true", vsock=str(tmp_path / "none" / "v"))
    assert "create its folder first" in str(run)
    run = boot("true", nets=("user,mac=03:00:00:00:00:00",))
    assert "even first byte" in str(run)
    with pytest.raises(UserError, match="no kind of network"):
        boot("true", nets=("carrier-pigeon",))
