# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's words are translated for our machine, or named."""

from __future__ import annotations

import time

import pytest

from kvm.run.payload.suite.qemu_words import Untranslatable, Wanted, split, translate


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", Wanted()),
        ("-cpu host", Wanted(cpu="host")),
        ("-cpu max,+pcid,-x2apic", Wanted(cpu="host,+pcid?,-x2apic?")),
        ("-cpu max,host-phys-bits,migratable=no", Wanted(cpu="host")),
        ("-cpu host,pku=off,smap=on", Wanted(cpu="host,-pku?,+smap?")),
        (
            "-cpu qemu64,+x2apic,+tsc-deadline",
            Wanted(cpu="minimal,+pni?,+x2apic?,+tsc_deadline_timer?"),
        ),
        ("-m 2048", Wanted(memory_mib=2048)),
        ("-m 4g -smp 3", Wanted(memory_mib=4096, cpus=3)),
        ("-m size=1G -smp cpus=2", Wanted(memory_mib=1024, cpus=2)),
        ("-append 'one two' -initrd env", Wanted(append="one two", module="env")),
        ("-machine accel=kvm -enable-kvm -display none -no-reboot", Wanted()),
        ("-M pc,kernel_irqchip=split", Wanted(split_irqchip=True)),
        ("-device isa-debug-exit,iobase=0xf4,iosize=0x4 -device pc-testdev", Wanted()),
    ],
)
def test_words_that_our_machine_has(text: str, wanted: Wanted) -> None:
    assert translate(split(text, {})) == wanted


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("-device hyperv-testdev", "-device hyperv-testdev"),
        ("-cpu IvyBridge,phys-bits=36", "-cpu IvyBridge,phys-bits=36"),
        ("-cpu host,hv_passthrough", "-cpu host,hv_passthrough"),
        ("-cpu max,vendor=GenuineIntel", "-cpu max,vendor=GenuineIntel"),
        ("-m 1g -machine pit=off", "-machine pit=off"),
        ("-overcommit cpu-pm=on -m 4g", "-overcommit cpu-pm=on"),
        ("-smp 4,sockets=2", "-smp 4,sockets=2"),
        ("-smp 256", "-smp 256"),
        ("-m 1m", "-m 1m"),
        ("-accel tcg", "-accel tcg"),
        ("-cpu", "-cpu, which has no value"),
        ("-frobnicate", "-frobnicate"),
        ("stray", "stray"),
    ],
)
def test_a_word_without_an_equivalent_is_named(text: str, named: str) -> None:
    with pytest.raises(Untranslatable) as unknown:
        translate(split(text, {}))
    assert str(unknown.value) == named


def test_words_are_split_as_by_a_shell() -> None:
    assert split("\"a b\" 'c d' e", {}) == ("a b", "c d", "e")
    assert split("-smp $MAX_SMP -m ${MAX_SMP}g $((MAX_SMP*2))", {"MAX_SMP": 4}) == (
        *("-smp", "4", "-m", "4g", "8"),
    )
    with pytest.raises(ValueError, match="quotation"):
        split("'open", {})


def test_the_time_is_known_and_no_other_command_runs() -> None:
    before = int(time.time())
    (words,) = split('"10000000 `date +%s`"', {})
    assert before <= int(words.split()[1]) <= int(time.time())
    for text in ("`touch /nowhere`", "$(touch /nowhere)", '"`id -u`"'):
        with pytest.raises(Untranslatable, match="the output of"):
            split(text, {})
