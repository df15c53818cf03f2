# SPDX-License-Identifier: GPL-2.0-only
"""Ways in which a machine ends: by itself, by a panic, and killed under load."""

from __future__ import annotations

from kvm.matrix.pattern import describe, pattern
from kvm.matrix.workload import Bench, Workload, as_disk
from kvm.matrix.workloads import exercise
from kvm.verdict.vocabulary import Reason

_STOPS = 4  # odd turns end by themselves, even ones are killed
_STOP_MIB = 1


def reboot(bench: Bench) -> None:
    """The kernel resets the machine during its command; the harness must notice."""
    words = "guest reset before the command ended"
    # sysrq-b does not wait, so the output before it is given time to leave the guest.
    emergency = "sleep 0.5; echo 1 >/proc/sys/kernel/sysrq; echo b >/proc/sysrq-trigger"
    for name, command in (("reboot", "reboot -f"), ("sysrq", emergency)):
        done = bench.boot("sh", "-c", f"echo going; {command}; sleep 30", expect=Reason.GUEST_EXIT)
        bench.check(f"{name}: the command ran", b"going\n" in done.stdout, done.text.strip())
        summary = done.record.outcome.summary
        bench.check(f"{name}: the end is named", words in summary, summary)


def panic(bench: Bench) -> None:
    crash = "echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger; sleep 30"
    done = bench.boot("sh", "-c", crash, expect=Reason.KERNEL_PANIC)
    outcome = done.record.outcome
    lines = [line for item in outcome.evidence for line in item.lines]
    bench.check("the panic is named", "sysrq triggered crash" in outcome.summary, outcome.summary)
    shown = [line for line in lines if "Kernel panic - not syncing" in line]
    bench.check("its lines are evidence", bool(shown), shown[0] if shown else "no such line")
    traced = any("sysrq_handle_crash" in line for line in lines)
    bench.check("with a call trace", traced, f"{len(lines)} lines")
    bench.check("the console has it", "Kernel panic - not syncing" in done.console)
    after = bench.boot("echo", "alive")
    bench.check("the next machine is well", after.stdout == b"alive\n", after.text)


def stop(bench: Bench) -> None:
    """End machines while all their vCPUs work: by themselves and by SIGKILL."""
    size = _STOP_MIB << 20
    image = bench.new_disk("stop", _STOP_MIB)
    image.write_bytes(pattern(bench.seed, 0, size))
    load = (
        "for i in 1 2 3; do while :; do dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct; "
        "done 2>/dev/null & done; "
        "while :; do head -c 256 /dev/hwrng; done >/dev/null 2>&1 & sleep 0.2; "
    )
    disk = as_disk(image)
    for turn in range(1, _STOPS + 1):
        bench.say(f"machine {turn} of {_STOPS}")
        kill = turn % 2 == 0
        # The children hold none of the command's streams: init would wait for those to close.
        script = f"({load}) </dev/null >/dev/null 2>&1; echo busy; " + ("sleep 30" if kill else "")
        done = bench.boot("sh", "-c", script, disks=(disk,), kill_on=b"busy" if kill else b"")
        how = "killed" if kill else "ended by itself"
        bench.check(f"machine {turn} {how} at work", b"busy\n" in done.stdout, done.text.strip())
    right, words = describe(image.read_bytes(), bench.seed)
    bench.check("the disk is as it was", right, words)
    script = f"exercise verify /dev/vda {bench.seed} 0 {size} 65536"
    exercise.run(bench, script, disks=(disk,))


WORKLOADS = (
    Workload(
        "reboot", reboot, "a machine that resets itself under its command is told apart", 60.0
    ),
    Workload("panic", panic, "a panic is found, with its lines, and the next machine boots", 60.0),
    Workload("stop", stop, "machines that end or are killed at work end cleanly", 90.0),
)
