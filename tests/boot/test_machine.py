# SPDX-License-Identifier: GPL-2.0-only
"""Machines boot, run commands, and end with the right verdict."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import halves, rundir
from kvm.run.boot import boot_built
from kvm.run.extras import RunExtras
from kvm.run.spine import RunSite
from kvm.verdict.vocabulary import Reason
from support import labs
from support.asked import boot_options
from support.machines import LOST_HOSTS, Boot, Output

pytestmark = pytest.mark.lab

TinyKernel = Callable[[bytes], Path]
SYSRQ = "echo 1 > /proc/sys/kernel/sysrq; echo {} > /proc/sysrq-trigger; sleep 30"


def test_a_machine_is_pinned_to_the_hosts_cpus(boot: Boot) -> None:
    """A lab host's CPU 0 is spared (decision 9); its CPUs 1 and 2 can be used."""
    run = boot("nproc", vcpus=2, pin="2,1")
    assert (run.verdict, run.stdout) == (("PASS", "ok"), b"2\n"), run
    run = boot("true", pin="0")
    assert run.verdict == ("ERROR", "vmm-error"), run
    assert "vCPU 0 can't be pinned to CPU 0: the host has 1, 2" in str(run)


def test_a_boot_passes_and_leaves_its_record(boot: Boot) -> None:
    run = boot("uname", "-r", append="quiet")
    assert run.verdict == ("PASS", "ok"), run
    folder = run.record.run_dir
    assert folder is not None
    record = json.loads((folder / "result.json").read_text())
    assert run.stdout.decode().strip() == record["kernel"]["release"].split("+")[0]
    assert record["guest"]["transport"] == "virtio"
    assert 0 < record["exits"]["total"] <= 800, record["exits"]
    assert {"spec.json", "console.log", "repeat"} <= {path.name for path in folder.iterdir()}


def test_a_lab_host_whose_kernel_stalled_gets_no_other_machine(project: Project) -> None:
    report = "<2>watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [kvm:1]"
    say = ("sh", "-c", f"echo '{report}' > /dev/kmsg")
    options = boot_options(command=("sleep", "1"), host="lab", timeout_s=20.0).check()
    with Progress(live=False) as progress:
        both, site = halves.build(project, progress), RunSite(rundir.create(project.runs))
        streams, extras = Output().streams, RunExtras(beside=(say,))
        record = boot_built(project, both, options, progress, streams, site, extras)
    assert record.outcome.reason in (Reason.OK, *LOST_HOSTS), record
    assert "soft lockup" in (site.run_dir / "host-console.log").read_text()
    assert labs.own(project) is None


def test_stdout_stderr_and_exit_code_are_separate(boot: Boot) -> None:
    run = boot("sh", "-c", "echo out; echo err >&2; exit 7")
    assert run.verdict == ("FAIL", "guest-exit"), run
    assert (run.stdout, run.stderr, run.record.exit_code) == (b"out\n", b"err\n", 7)


def test_the_virtio_console_has_the_terminals_size(
    boot: Boot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "132")
    monkeypatch.setenv("LINES", "50")
    run = boot("stty", "-F", "/dev/hvc0", "size")
    assert (run.verdict, run.stdout) == (("PASS", "ok"), b"50 132\n"), run


@pytest.mark.parametrize("cpus", [2, 4, 8])
def test_all_vcpus_come_online(boot: Boot, cpus: int) -> None:
    run = boot(
        "sh",
        "-c",
        "cat /sys/devices/system/cpu/online; grep -c ^processor /proc/cpuinfo",
        vcpus=cpus,
        timeout_s=60.0,
    )
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout.decode().split() == [f"0-{cpus - 1}", str(cpus)]


def test_memory_has_the_size_asked_for(boot: Boot) -> None:
    run = boot("sh", "-c", "grep MemTotal /proc/meminfo", memory_mib=768)
    assert run.verdict == ("PASS", "ok"), run
    assert 700 << 10 < int(run.stdout.split()[1]) <= 768 << 10


def test_memory_goes_on_above_4_gib(boot: Boot) -> None:
    run = boot("sh", "-c", "grep MemTotal /proc/meminfo", memory_mib=5120, timeout_s=60.0)
    assert run.verdict == ("PASS", "ok"), run
    assert 4700 << 10 < int(run.stdout.split()[1]) <= 5120 << 10


def test_the_kernel_lives_with_a_split_irqchip(boot: Boot, tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(b"\x5a" * (1 << 20))
    run = boot(
        "sh",
        "-c",
        "md5sum </dev/vda; cat /proc/interrupts",
        split_irqchip=True,
        vcpus=2,
        disks=(str(image),),
    )
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout.split()[0].decode() == hashlib.md5(b"\x5a" * (1 << 20)).hexdigest()
    assert b"IO-APIC" in run.stdout


def test_the_kernel_comes_up_by_its_pvh_entry(boot: Boot) -> None:
    run = boot("cat", "/proc/cmdline", protocol="pvh", append="by=pvh", vcpus=2)
    assert run.verdict == ("PASS", "ok"), run
    assert b"by=pvh" in run.stdout


def test_a_cpu_feature_that_is_taken_away_is_gone(boot: Boot) -> None:
    run = boot("grep", "-m1", "^flags", "/proc/cpuinfo", cpu="host,-avx,-rdrand")
    assert run.verdict == ("PASS", "ok"), run
    flags = run.stdout.decode().split()
    assert "ssse3" in flags, flags
    assert not {"avx", "avx2", "fma", "rdrand"} & set(flags)


def test_the_minimal_cpu_boots(boot: Boot) -> None:
    run = boot("grep", "-m1", "^flags", "/proc/cpuinfo", cpu="minimal", vcpus=2)
    assert run.verdict == ("PASS", "ok"), run
    flags = run.stdout.decode().split()
    assert "sse2" in flags and not {"ssse3", "avx", "xsave", "smep"} & set(flags)


def test_more_vcpus_than_a_word_has_bits_come_online(boot: Boot) -> None:
    run = boot("cat", "/sys/devices/system/cpu/online", vcpus=33, memory_mib=512, timeout_s=200.0)
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout == b"0-32\n"


def test_huge_pages_that_are_not_there_are_asked_for_in_words(boot: Boot) -> None:
    run = boot("true", hugepages=True, memory_mib=1024)
    assert run.verdict == ("ERROR", "vmm-error"), run
    assert "vm.nr_hugepages=512" in str(run)


def test_another_device_file_of_kvm_serves(boot: Boot, tmp_path: Path) -> None:
    another = tmp_path / "kvm"
    another.symlink_to("/dev/kvm")
    run = boot("true", kvm_device=str(another))
    assert run.verdict == ("PASS", "ok"), run


def test_a_device_file_that_is_not_kvms_is_refused_in_words(boot: Boot) -> None:
    run = boot("true", kvm_device="/dev/null")
    assert run.verdict == ("ERROR", "vmm-error"), run
    assert "/dev/null is not KVM's" in str(run)


def test_a_balloon_takes_memory_from_the_guest(boot: Boot) -> None:
    # The driver may release it when memory runs out, so free memory shrinks rather than all memory.
    # It differs by some MiB between boots, and shrinks for a while on a slow host.
    free = "awk '/^MemFree/{print $2}' /proc/meminfo"
    script = (
        f"sleep 2; a=$({free}); sleep 1; b=$({free})\n"
        f"while [ $((a - b)) -gt 512 ]; do a=$b; sleep 1; b=$({free}); done; echo $b"
    )
    without, taken = boot("sh", "-c", script), boot("sh", "-c", script, balloon_mib=128)
    assert (without.verdict, taken.verdict) == (("PASS", "ok"), ("PASS", "ok")), taken
    assert int(without.stdout) - int(taken.stdout) > 96 << 10


def test_a_silent_command_is_no_hang(boot: Boot) -> None:
    run = boot("sleep", "7", timeout_s=4.0)
    assert run.verdict == ("PASS", "ok"), run


def test_large_output_arrives_whole(boot: Boot) -> None:
    run = boot("sh", "-c", "seq 1 300000")
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout == b"".join(b"%d\n" % n for n in range(1, 300001))


def test_a_disk_is_read_written_and_flushed(boot: Boot, tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    content = os.urandom(1 << 20)
    image.write_bytes(content)
    run = boot(
        "sh",
        "-c",
        "md5sum </dev/vda && dd if=/dev/vda of=/tmp/half bs=512k count=1 2>/dev/null && "
        "dd if=/tmp/half of=/dev/vda bs=512k seek=1 conv=fsync 2>/dev/null",
        disks=(str(image),),
    )
    assert run.verdict == ("PASS", "ok"), run
    assert image.read_bytes() == content[: 512 << 10] * 2


def test_a_disk_has_a_queue_for_each_vcpu(boot: Boot, tmp_path: Path) -> None:
    """Each vCPU's process writes a part through its own queue, all at the same time."""
    image = tmp_path / "disk.raw"
    image.write_bytes(bytes(4 << 20))
    part = "yes {0} | dd of=/dev/vda bs=4k seek={1} count=256 oflag=direct iflag=fullblock"
    parts = [f"({part.format(n, 256 * n)} 2>/dev/null) &" for n in range(4)]
    run = boot(
        "sh",
        "-c",
        f"ls /sys/block/vda/mq | wc -l; {' '.join(parts)} wait",
        vcpus=4,
        disks=(str(image),),
    )
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout == b"4\n"
    assert image.read_bytes() == b"".join(b"%d\n" % n * (512 << 10) for n in range(4))


def test_a_volatile_disk_keeps_only_what_was_flushed(boot: Boot, tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(b"\x5a" * (128 << 10))
    # Closing the device writes back dirty pages without a flush: the second write leaves the guest,
    # as reading it back around the page cache shows, and gets no further than the VMM.
    run = boot(
        "sh",
        "-c",
        "dd if=/dev/zero of=/dev/vda bs=64k count=1 conv=fsync 2>/dev/null && "
        "dd if=/dev/zero of=/dev/vda bs=64k count=1 seek=1 2>/dev/null && "
        "echo 3 > /proc/sys/vm/drop_caches && md5sum </dev/vda",
        disks=(f"{image},volatile",),
    )
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout.split()[0].decode() == hashlib.md5(bytes(128 << 10)).hexdigest()
    assert image.read_bytes() == bytes(64 << 10) + b"\x5a" * (64 << 10)


def test_a_transient_disk_leaves_its_image_alone(boot: Boot, tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(b"\x5a" * (128 << 10))
    image.chmod(0o444)
    script = (
        "dd if=/dev/zero of=/dev/vda bs=64k count=1 conv=fsync 2>/dev/null && "
        "echo 3 > /proc/sys/vm/drop_caches && md5sum </dev/vda && cmp /dev/vda /dev/vdb"
    )
    # Two of one image in a machine, each with writes of its own.
    run = boot("sh", "-c", script, disks=(f"{image},transient", f"{image},transient"))
    assert run.verdict == ("FAIL", "guest-exit"), run
    written = bytes(64 << 10) + b"\x5a" * (64 << 10)
    assert run.stdout.split()[0].decode() == hashlib.md5(written).hexdigest()
    assert b"/dev/vda /dev/vdb differ" in run.stdout + run.stderr
    assert image.read_bytes() == b"\x5a" * (128 << 10)


def test_a_disk_asked_for_twice_is_refused_unless_read_only(boot: Boot, tmp_path: Path) -> None:
    image, link = tmp_path / "disk.raw", tmp_path / "link.raw"
    image.write_bytes(b"\0" * 4096)
    link.symlink_to(image)
    with pytest.raises(UserError, match=f"{link} is the same file as --disk {image}"):
        boot("true", disks=(f"{image},ro", f"{link}"))
    run = boot("cmp", "/dev/vda", "/dev/vdb", disks=(f"{image},ro", f"{link},ro"))
    assert run.verdict == ("PASS", "ok"), run


def test_a_read_only_disk_refuses_writes(boot: Boot, tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(b"\x5a" * 4096)
    run = boot(
        "sh",
        "-c",
        "cat /sys/block/vda/ro; dd if=/dev/zero of=/dev/vda bs=512 count=1",
        disks=(f"{image},ro",),
    )
    assert run.verdict == ("FAIL", "guest-exit"), run
    assert run.stdout == b"1\n"
    assert image.read_bytes() == b"\x5a" * 4096


def test_entropy_comes_from_the_rng_device(boot: Boot) -> None:
    run = boot(
        "sh",
        "-c",
        "cat /sys/class/misc/hw_random/rng_current; "
        "dd if=/dev/hwrng bs=64 count=1 2>/dev/null | md5sum",
    )
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout.startswith(b"virtio_rng")


def test_a_panic_is_named_with_its_lines(boot: Boot) -> None:
    run = boot("sh", "-c", SYSRQ.format("c"))
    assert run.verdict == ("FAIL", "kernel-panic"), run
    assert "sysrq triggered crash" in run.record.outcome.summary


def test_a_guest_that_spins_silently_is_a_hang(boot: Boot, tiny_kernel: TinyKernel) -> None:
    run = boot(kernel=tiny_kernel(b"\xeb\xfe"), timeout_s=3.0)
    assert run.verdict == ("FAIL", "hang"), run
    registers = [e for e in run.record.outcome.evidence if e.kind == "registers"]
    assert "1000000" in registers[0].lines[0]


def test_a_triple_fault_is_told_from_a_reset(boot: Boot, tiny_kernel: TinyKernel) -> None:
    run = boot(kernel=tiny_kernel(b"\x0f\x0b"))
    assert run.verdict[0] == "FAIL", run
    assert "triple fault" in run.record.outcome.summary
    # mov dx, 0xcf9; mov al, 6; out dx, al; jmp .
    run = boot(kernel=tiny_kernel(b"\x66\xba\xf9\x0c\xb0\x06\xee\xeb\xfe"))
    assert run.verdict == ("FAIL", "guest-exit"), run
    assert "before init said hello" in run.record.outcome.summary


@pytest.mark.parametrize(
    ("mangle", "words"),
    [
        (lambda image: image[: len(image) // 2], "truncated"),
        (lambda image: b"", "empty"),
        (lambda image: image[:4] + b"\x01" + image[5:], "32-bit"),
        (lambda image: image[:18] + b"\xb7" + image[19:], "another architecture"),
        (lambda image: b"#!/bin/sh\n", "neither"),
    ],
    ids=["truncated", "empty", "32-bit", "foreign", "script"],
)
def test_a_bad_kernel_is_an_error_that_says_what_is_wrong(
    boot: Boot, tiny_kernel: TinyKernel, mangle: Callable[[bytes], bytes], words: str
) -> None:
    path = tiny_kernel(b"\xeb\xfe")
    path.write_bytes(mangle(path.read_bytes()))
    run = boot(kernel=path)
    assert run.verdict == ("ERROR", "vmm-error"), run
    assert words in run.record.outcome.summary
    assert str(path) in run.record.outcome.summary


def test_memory_too_small_for_kernel_and_initrd_says_how_much(boot: Boot, tmp_path: Path) -> None:
    initrd = tmp_path / "large.cpio"
    with initrd.open("wb") as file:
        file.truncate(64 << 20)
    run = boot(initrd=initrd, memory_mib=48)
    assert run.verdict == ("ERROR", "vmm-error"), run
    assert "MiB" in run.record.outcome.summary


def test_a_broken_initrd_is_the_kernels_panic(boot: Boot, tmp_path: Path) -> None:
    initrd = tmp_path / "broken.cpio"
    initrd.write_bytes(b"070701 this is no archive" * 100)
    run = boot(initrd=initrd)
    assert run.verdict == ("FAIL", "kernel-panic"), run
