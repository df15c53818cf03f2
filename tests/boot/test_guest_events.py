# SPDX-License-Identifier: GPL-2.0-only
"""Guests report their progress to the VMM in each way; hostile ones only slow themselves."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from support.machines import Boot, Run

TinyKernel = Callable[[bytes], Path]

# <linux/kvm_para.h> and <asm/kvm_para.h> of the tree.
HYPERCALL = 13
MAGIC = 0x56454D4B
PER_PAGE = 63
INVALID = -22
LIMIT = 1 << 16  # GuestEvents::kMaxEvents

ENTRY = 16 << 20
DEVICE = "/dev/kvm_guest_events"


def kinds(run: Run) -> Counter[str]:
    return Counter(str(event["kind"]) for event in run.record.told.events)


@pytest.mark.parametrize(("asked", "source"), [("auto", "hypercall"), ("port", "port")])
def test_a_boot_is_told_from_its_first_initcall_to_init(
    boot: Boot, asked: str, source: str
) -> None:
    run = boot("true", guest_events=asked)
    assert run.verdict == ("PASS", "ok"), run
    told = run.record.told
    assert (told.source, told.lost, told.refused) == (source, 0, 0)
    levels = [event["name"] for event in told.events if event["kind"] == "level"]
    assert levels[:2] == ["early", "pure"]
    assert levels[-1] == "late"
    assert kinds(run)["initcall_start"] == kinds(run)["initcall_finish"] > 100
    assert kinds(run)["init"] == 1
    times = [event["t_s"] for event in told.events]
    assert times == sorted(times)
    assert 0 < times[0] < times[-1] < 60
    # Events are batched: all of them take fewer exits than there are levels and pages to fill.
    hypercalls = run.record.exits.reasons.get("hypercall", 0)
    assert hypercalls < 40
    assert (hypercalls > 0) == (source == "hypercall")


def test_nothing_is_told_to_a_vmm_that_does_not_ask(boot: Boot) -> None:
    run = boot("test", "!", "-e", DEVICE, guest_events="none")
    assert run.verdict == ("PASS", "ok"), run
    assert (run.record.told.source, run.record.told.events) == ("none", ())


def test_a_programs_marks_are_events_with_its_text(boot: Boot) -> None:
    script = f"echo first >{DEVICE}; echo {'long ' * 20}>{DEVICE}; printf '\\033[2J' >{DEVICE}"
    run = boot("sh", "-c", script)
    assert run.verdict == ("PASS", "ok"), run
    marks = [event["name"] for event in run.record.told.events if event["kind"] == "mark"]
    assert marks[0] == "first"
    assert marks[1] == ("long " * 20)[:47].strip()
    assert marks[2].isprintable()


def test_a_panic_without_a_console_is_told(boot: Boot) -> None:
    run = boot(
        "sh",
        "-c",
        "echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger",
        append="loglevel=0",
    )
    assert run.verdict[0] == "FAIL", run
    assert kinds(run)["panic"] == 1


def call(page: int) -> bytes:
    """The hypercall; its result is compared with -EINVAL: ebp stays 0 as long as they are equal."""
    return (
        b"\xb8"  # mov eax, HYPERCALL
        + struct.pack("<I", HYPERCALL)
        + b"\x48\xbb"  # mov rbx, page
        + struct.pack("<Q", page)
        + b"\x0f\x01\xd9"  # vmmcall
        + b"\x83\xf0"  # xor eax, INVALID
        + struct.pack("<b", INVALID)
        + b"\x09\xc5"  # or ebp, eax
    )


def test_bad_pointers_and_counts_are_refused_one_by_one(
    boot: Boot, tiny_kernel: TinyKernel
) -> None:
    code_size = 0x1000
    worse = struct.pack("<II", MAGIC, PER_PAGE + 1)
    worst = struct.pack("<II", MAGIC, 0xFFFFFFFF)
    pages = [worse, worst, struct.pack("<II", 0, 1)]
    addresses = [
        *(ENTRY + code_size * (1 + number) for number in range(len(pages))),
        ENTRY + code_size + 8,
        0xFFFFFFFFFFFFF000,
        0xFFFFFFFFFFFFFFFF,
        256 << 20,
        0xD0000000,
        1 << 45,
    ]
    code = b"\x31\xed" + b"".join(map(call, addresses))
    code += b"\x89\xe8\xe7\xf4\xeb\xfe"  # mov eax, ebp; out 0xf4, eax; jmp .
    image = code.ljust(code_size, b"\x90") + b"".join(p.ljust(code_size, b"\0") for p in pages)
    run = boot(kernel=tiny_kernel(image))
    assert run.verdict == ("FAIL", "guest-exit"), run
    # The debug-exit port turns ebp = 0 into 1: each call returned -EINVAL.
    assert "guest stopped (1)" in run.record.outcome.summary, run
    assert run.record.told.source == "none"
    assert run.record.exits.reasons["hypercall"] == len(pages)  # KVM refused the other addresses


def test_a_guest_that_sends_without_end_slows_only_itself(
    boot: Boot, tiny_kernel: TinyKernel
) -> None:
    page = ENTRY + 0x1000
    again = call(page)
    code = again + b"\xe9" + struct.pack("<i", -(len(again) + 5))
    full = struct.pack("<II", MAGIC, PER_PAGE) + bytes(56)
    full += struct.pack("<QIi48s", 1, 8, 0, b"again") * PER_PAGE
    run = boot(kernel=tiny_kernel(code.ljust(0x1000, b"\x90") + full), timeout_s=5.0)
    assert run.verdict == ("FAIL", "hang"), run
    assert run.record.told.source == "hypercall"
    assert run.record.told.refused > 0
    # Events that are still in its page are reported too.
    assert LIMIT <= len(run.record.told.events) <= LIMIT + PER_PAGE
